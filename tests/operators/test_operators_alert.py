from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from window_streams import CUTS, FLOW, run, seconds, stream, streams

from pydatastream.core.errors import ConfigError, SchemaError
from pydatastream.operators.alert import Alert
from pydatastream.pipeline import Pipeline
from pydatastream.testing import run_tests

HOT = {"when": "x > 20", "by": ["k"], "value": "x"}


def told(ran):
    columns = ("k", "state", "time", "start", "last", "peak")
    rows = [[row[name] for name in columns] for row in ran.rows]
    return [(k, s, *map(seconds, times), peak) for k, s, *times, peak in rows]


class Oracle:
    """One key, one row at a time, as the words say."""

    def __init__(self, low, lasting, cool_down, expire):
        self.low, self.lasting, self.cool_down, self.expire = low, lasting, cool_down, expire
        self.begin = self.last = self.peak = None
        self.raised, self.ready, self.found = False, -(10**9), []

    def silent(self, now):
        if self.begin is not None and self.expire is not None and self.last + self.expire < now:
            self.over(self.last + self.expire)

    def over(self, now):
        if self.raised:
            self.found.append(("resolved", now, self.begin, self.last, self.peak))
            self.ready = now + self.cool_down
        self.begin, self.raised = None, False

    def row(self, now, x):
        self.silent(now)
        high = x is not None and not x <= 20  # as in SQL, NaN is the greatest
        low = not high if self.low is None else x is not None and x < self.low
        if self.begin is not None and low and not high:
            self.over(now)
        elif self.begin is not None or high:
            self.go_on(now, x)

    def go_on(self, now, x):
        if self.begin is None:
            self.begin, self.peak = now, None
        self.last = now
        if x is not None and not math.isnan(x):
            self.peak = x if self.peak is None else max(self.peak, x)
        if not self.raised and now - self.begin >= self.lasting and now >= self.ready:
            self.raised = True
            self.found.append(("raised", now, self.begin, now, self.peak))


def expected(events, *rules):
    in_order = sorted((e for e in events if e.at >= e.clock), key=lambda e: e.at)
    found = []
    for key in sorted({e.key for e in in_order}):
        oracle = Oracle(*rules)
        for event in in_order:
            if event.key == key:
                oracle.row(event.at, event.x)
        oracle.silent(in_order[-1].at + 1)
        found += [(key, *one) for one in oracle.found]
    return sorted(found, key=lambda one: (one[2], one[0]))


@settings(max_examples=250)
@given(
    streams(), CUTS, st.sampled_from([None, 0.0, 15.0]), st.integers(0, 9), st.integers(0, 20),
    st.sampled_from([None, 3, 12]),
)  # fmt: skip
def test_any_cut_gives_what_row_by_row_gives(events, cuts, low, lasting, cool_down, expire):
    step = Alert(
        **HOT, lasting=f"{lasting}s", cool_down=f"{cool_down}s",
        until=None if low is None else f"x < {low}", expire=expire and f"{expire}s",
    )  # fmt: skip
    ran = run(step, events, cuts)
    assert told(ran) == expected(events, low, lasting, cool_down, expire)
    assert sorted(ran.late) == [e.id for e in events if e.at < e.clock]


def of(values, **options):
    """States and times for one key with a value each second."""
    events = stream([("a", at, x, 0) for at, x in enumerate(values)])
    return run(Alert(**{**HOT, **options}), events).rows


def test_what_gets_worse_is_told_again():
    rows = of([0, 25, 35, 30, 45, 0], severity={"low": "true", "mid": "x > 30", "high": "x > 40"})
    found = [(row["state"], row["severity"]) for row in rows]
    assert found == [
        ("raised", "low"), ("escalated", "mid"), ("escalated", "high"), ("resolved", "high"),
    ]  # fmt: skip


def test_evidence_is_of_the_peak():
    rows = of([25, 40, 30, 0], evidence=["id"])
    assert [row["id"] for row in rows] == [0, 1]


def test_what_still_goes_on_when_a_silence_ends_is_raised_then():
    until = datetime.fromtimestamp(3, UTC)
    rows = of([25, 25, 25, 25, 25, 0], silences=[{"end": until.isoformat()}])
    assert [(row["state"], seconds(row["time"])) for row in rows] == [
        ("raised", 3),
        ("resolved", 5),
    ]
    assert of([25, 25, 0], silences=[{"when": "k = 'a'"}]) == []


def test_a_value_in_a_message_stays_on_its_line():
    events = stream([("a\n\x1b[31mb", 0, 25.0, 0)])
    (row,) = run(Alert(**HOT, message="{k}: {peak:.1f} {severity}"), events).rows
    assert row["message"] == "a\\n\\x1b[31mb: 25.0 warning"


def test_keys_that_are_quiet_leave_no_state():
    events = stream([("abc"[at % 3], at, 25.0 if at == 4 else 0.0, 0) for at in range(30)])
    assert [row["state"] for row in run(Alert(**HOT), events).rows] == ["raised", "resolved"]


@pytest.mark.parametrize("message", ["{k.__class__}", "{k!r}", "{0}", "{k", "{k:>9999}", "{k[0]}"])
def test_a_message_holds_columns_and_nothing_else(message):
    with pytest.raises((ValidationError, ConfigError)):
        Alert(**HOT, message=message)


def test_what_does_not_fit_is_refused_before_anything_runs():
    with pytest.raises(SchemaError, match="the message names 'q'"):
        Alert(**HOT, message="{q}").flow(FLOW)
    with pytest.raises(SchemaError, match="must be a number"):
        Alert(when="x > 1", value="k").flow(FLOW)
    with pytest.raises(SchemaError, match="two columns would be called"):
        Alert(when="x > 1", by=["k"], evidence=["k"]).flow(FLOW)
    with pytest.raises(ValidationError, match="severity"):
        Alert(when="x > 1", severity={})


FILE = """
name: watch
source: {type: file, path: in.jsonl, schema: {host: string, ts: timestamp, load: float}, time: ts}
processor:
  - alert: {when: load > 8, until: load < 4, by: [host], for: 1m, expire: 5m, value: load}
output: {type: console}
tests:
  - name: a short peak is no alert, a long one is, and silence ends it
    given:
      - {host: a, ts: "2026-01-01T12:00:00Z", load: 9}
      - {host: a, ts: "2026-01-01T12:00:30Z", load: 2}
      - {host: b, ts: "2026-01-01T12:01:00Z", load: 9}
      - {host: b, ts: "2026-01-01T12:02:00Z", load: 11}
      - {host: c, ts: "2026-01-01T12:10:00Z", load: 0}
    expect:
      - {host: b, state: raised, time: "2026-01-01T12:02:00Z", peak: 11.0}
      - {host: b, state: resolved, time: "2026-01-01T12:07:00Z", peak: 11.0}
"""


def test_alerts_are_tested_in_the_pipeline_file(tmp_path):
    path = tmp_path / "watch.yaml"
    path.write_text(FILE)
    (outcome,) = run_tests(Pipeline.load(path))
    assert outcome.passed, outcome


ROUTED = """
name: watch
source: {{type: file, path: in.jsonl, format: json, time: ts,
         schema: {{host: string, ts: timestamp, load: float}}}}
processor:
  - alert: {{when: load > 8, by: [host], value: load, message: "{{host}}: {{state}}, {{peak:.0f}}",
            severity: {{warning: load > 8, critical: load > 20}}}}
  - name: told
    route: {{grave: severity = 'critical'}}
outputs:
  pager: {{type: http, url: "http://127.0.0.1:{port}/page", input: told.grave}}
  book: {{type: file, path: book/, format: json, input: alert}}
"""


def test_the_gravest_alerts_go_to_a_web_hook_and_all_to_a_file(tmp_path, monkeypatch):
    class Pager(BaseHTTPRequestHandler):
        def do_POST(self):
            paged.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

    monkeypatch.chdir(tmp_path)
    loads = [("a", 9.0), ("b", 30.0), ("a", 1.0), ("b", 40.0), ("b", 2.0)]
    rows = [
        {"host": k, "ts": f"2026-01-01T12:00:0{n}Z", "load": v} for n, (k, v) in enumerate(loads)
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    paged = list[bytes]()
    with HTTPServer(("127.0.0.1", 0), Pager) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        (tmp_path / "watch.yaml").write_text(ROUTED.format(port=server.server_port))
        Pipeline.load(tmp_path / "watch.yaml").run()
        server.shutdown()
    messages = [json.loads(line)["message"] for line in b"".join(paged).splitlines()]
    assert messages == ["b: raised, 30", "b: resolved, 40"]
    book = "".join(file.read_text() for file in sorted(tmp_path.glob("book/*.jsonl")))
    assert [json.loads(line)["message"] for line in book.splitlines()] == [
        "a: raised, 9", "b: raised, 30", "a: resolved, 9", "b: resolved, 40",
    ]  # fmt: skip
