from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from window_streams import CUTS, TOTALS, run, seconds, stream, streams, summary

from pydatastream.operators.hopping import Hopping


def oracle(events, size, every, lateness):
    windows, late = defaultdict(list), []
    for event in events:
        first = (event.at - size) // every * every + every
        starts = [s for s in range(first, event.at + 1, every) if s + size + lateness > event.clock]
        for start in starts:
            windows[event.key, start].append(event)
        late += [] if starts else [event.id]
    return {key: summary(rows) for key, rows in windows.items()}, late


@settings(max_examples=150, deadline=None)
@given(streams(), CUTS, st.integers(1, 12), st.integers(0, 12), st.integers(0, 9))
def test_any_cut_gives_what_row_by_row_gives(events, cuts, every, more, lateness):
    size = every + more
    step = Hopping(
        size=f"{size}s", every=f"{every}s", by=["k"], aggregate=TOTALS, lateness=f"{lateness}s"
    )
    windows, late = oracle(events, size, every, lateness)
    ran = run(step, events, cuts)
    rows = {(r["k"], seconds(r["window_start"])): (r["n"], r["total"], r["hi"]) for r in ran.rows}
    assert len(rows) == len(ran.rows)
    assert rows == windows
    assert sorted(ran.late) == late
    assert all(seconds(r["window_end"]) - seconds(r["window_start"]) == size for r in ran.rows)


def test_a_row_late_for_one_window_counts_in_the_next():
    events = stream([("a", 1, 1.0, 0), ("a", 21, 2.0, 0), ("a", 15, 4.0, 0)])
    ran = run(Hopping(size="20s", every="10s", aggregate=TOTALS), events)
    assert {seconds(r["window_start"]): r["total"] for r in ran.rows} == {
        -10: 1.0, 0: 1.0, 10: 6.0, 20: 2.0
    }  # fmt: skip
    assert ran.late == []


def test_last_is_by_event_time_across_panes():
    events = stream([("a", 1, 1.0, 0), ("a", 21, 2.0, 0), ("a", 15, 4.0, 0), ("a", 15, 5.0, 0)])
    ran = run(Hopping(size="20s", every="10s", aggregate={"x": "last(x)"}), events, [2, 3])
    assert {seconds(r["window_start"]): r["x"] for r in ran.rows}[10] == 2.0


@pytest.mark.parametrize(
    ("size", "every", "reason"),
    [
        ("10s", "0s", "at least 1us"),
        ("10s", "20s", "longer than size"),
        ("1d", "1s", "more than 10,000 windows"),
    ],
)
def test_what_cannot_be_is_refused_at_check(size, every, reason):
    with pytest.raises(ValidationError, match=reason):
        Hopping(size=size, every=every, aggregate=TOTALS)
