"""Bad input, through a pipeline file: its neighbours live, or the run is refused or stopped.

The numbers are those of the list of bad input in the design of delivery.
"""

from __future__ import annotations

import gzip
import json
import os
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from fault_runs import Children, read

GOOD = [{"id": n, "ts": 1_700_000_000_000 + n * 1000, "k": "a", "v": 1.0} for n in range(6)]
FIELDS = "{id: int, ts: int, k: string, v: float}"


class Pipeline:
    """One pipeline file, and what a run of it gives."""

    def __init__(self, children: Children, place: Path) -> None:
        self._children, self.place = children, place
        self.extra: list[str] = []

    def run(
        self, *steps: str, path: str = "in.jsonl", source: str = f"schema: {FIELDS}",
        time: str = "time: ts, time_unit: ms", more: str = "", form: str = "json",
    ) -> int | None:  # fmt: skip
        listed = "".join(f"\n  - {step}" for step in steps or ("filter: id >= 0",))
        known = ", ".join(one for one in (f"path: {path}, format: {form}", time, source) if one)
        (self.place / "pipeline.yaml").write_text(f"""name: bad
source: {{type: file, {known}}}
processor:{listed}
output: {{type: file, path: out/, format: json}}
on_error: {{policy: dead_letter, output: {{type: file, path: dead/, format: json}}}}
{more}
""")
        return self._children.wait(self._children.start(self.place))

    def write(self, *more: bytes, name: str = "in.jsonl", end: bytes = b"\n") -> Path:
        """Three good rows, what is bad, three good rows."""
        good = [json.dumps(row).encode() for row in GOOD]
        content = b"\n".join([*good[:3], *more, *good[3:]]) + end
        (self.place / name).write_bytes(content)
        return self.place / name

    @property
    def ids(self) -> list[int]:
        return sorted(row["id"] for row in read(self.place / "out"))

    @property
    def dead(self) -> list[dict[str, Any]]:
        return list(read(self.place / "dead"))

    @property
    def said(self) -> str:
        return (self.place / "stderr.txt").read_text()


@pytest.fixture
def bad(children: Children, shm: Path) -> Pipeline:
    return Pipeline(children, shm)


def neighbours_live(bad: Pipeline, letters: int = 1) -> list[dict[str, Any]]:
    assert bad.ids == list(range(6)), bad.said
    assert len(bad.dead) == letters
    return bad.dead


LINES = {
    "1 truncated": b'{"id": 7, "ts": 17000',
    "2 no utf-8": b'{"id": 7, "k": "\xff\xfe"}',
    "3 lone surrogate": b'{"id": 7, "ts": 1700000000000, "k": "\\ud800"}',
    "5 NaN": b'{"id": 7, "ts": 1700000000000, "v": NaN}',
    "6 nesting": b'{"id": 7, "x": ' + b"[" * 40_000 + b"]" * 40_000 + b"}",
    "8 beyond 64 bits": b'{"id": 99999999999999999999, "ts": 1700000000000}',
    "9 another type": b'{"id": 7, "ts": 1700000000000, "v": {"a": 1}}',
    "15 too long": b'{"id": 7, "k": "' + b"x" * (2 << 20) + b'"}',
    "24 out of range": b'{"id": 7, "ts": 9223372036854775807}',
    "25 far in the future": b'{"id": 7, "ts": 1700000000000000}',
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_a_bad_line_is_a_dead_letter(bad: Pipeline, line: bytes) -> None:
    bad.write(line)
    assert bad.run() == 0
    letter = neighbours_live(bad)[0]
    assert letter["payload"]
    assert letter["error"]
    assert len(letter["payload"]) < (1 << 20) * 1.5


def test_1_the_last_line_is_cut_off(bad: Pipeline) -> None:
    bad.write(end=b'\n{"id": 9, "ts": 17')
    assert bad.run() == 0
    assert neighbours_live(bad)[0]["payload"] == '{"id": 9, "ts": 17'


def test_10_a_field_that_is_seen_late_is_ignored(bad: Pipeline) -> None:
    bad.write(b'{"id": 7, "ts": 1700000002000, "k": "b", "v": 1, "new": [1, 2]}')
    assert bad.run() == 0
    assert bad.ids == [0, 1, 2, 3, 4, 5, 7]


def test_11_a_required_column_is_missing(bad: Pipeline) -> None:
    bad.write(b'{"id": 7, "ts": 1700000002000, "v": 1}')
    assert bad.run(source=f"schema: {FIELDS}, required: [k]") == 0
    assert "required k is missing" in neighbours_live(bad)[0]["error"]


def test_12_a_key_is_null(bad: Pipeline) -> None:
    bad.write(b'{"id": 7, "ts": 1700000002000, "v": 1}')
    assert bad.run("tumbling: {size: 1m, by: [k], aggregate: {n: count(*)}}") == 0
    assert [row["n"] for row in read(bad.place / "out")] == [6]
    assert "key k is null" in bad.dead[0]["error"]


def test_16_a_compressed_bomb_is_set_aside(bad: Pipeline) -> None:
    (bad.place / "in").mkdir()
    bad.write(name="in/a.jsonl")
    row = json.dumps(GOOD[0]).encode() + b"\n"
    (bad.place / "in" / "b.jsonl.gz").write_bytes(gzip.compress(row + b" " * (200 << 20), 9))
    assert bad.run(path="in/") == 0
    assert set(bad.ids) == set(range(6))
    assert len(bad.dead) == 1
    assert "b.jsonl.gz" in bad.dead[0]["error"]


@pytest.mark.parametrize("how", ["truncated", "bit flipped"])
def test_18_a_damaged_parquet_file_is_set_aside(bad: Pipeline, how: str) -> None:
    frame = pl.DataFrame(GOOD)
    (bad.place / "in").mkdir()
    frame.write_parquet(bad.place / "in" / "a.parquet")
    frame.with_columns(pl.col("id") + 10).write_parquet(bad.place / "in" / "b.parquet")
    whole = bytearray((bad.place / "in" / "b.parquet").read_bytes())
    if how == "truncated":
        del whole[-20:]
    else:
        whole[-8 - int.from_bytes(whole[-8:-4], "little") + 3] ^= 0xFF
    (bad.place / "in" / "b.parquet").write_bytes(whole)
    assert bad.run(path="in/", form="parquet") == 0, bad.said
    assert [one for one in bad.ids if one < 10] == list(range(6))
    assert len(bad.dead) == 1
    assert "b.parquet" in bad.dead[0]["error"]


CSV = "id,ts,k,v\n" + "".join(f"{r['id']},{r['ts']},a,1\n" for r in GOOD)


@pytest.mark.parametrize("line", ["7,1700000000000,a,1,extra\n", "7,1700000000000\n"])
def test_19_a_csv_row_with_too_many_or_few_fields(bad: Pipeline, line: str) -> None:
    (bad.place / "in.csv").write_text(CSV + line)
    assert bad.run(path="in.csv", form="csv") == 0
    neighbours_live(bad)


def test_19_a_quote_that_is_not_closed(bad: Pipeline) -> None:
    (bad.place / "in.csv").write_text(CSV + '7,1700000000000,"a,1\n')
    assert bad.run(path="in.csv", form="csv") == 0
    neighbours_live(bad)


def test_20_a_header_with_a_name_twice_is_refused(bad: Pipeline) -> None:
    (bad.place / "in.csv").write_text("id,ts,k,k\n1,1700000000000,a,b\n")
    assert bad.run(path="in.csv", form="csv", source="") == 2
    assert "pipeline.yaml:2" in bad.said
    assert "'k'" in bad.said


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"id,ts,k,v\n"])
def test_21_nothing_to_read_is_no_error(bad: Pipeline, content: bytes) -> None:
    (bad.place / "in.csv").write_bytes(content)
    assert bad.run(path="in.csv", form="csv") == 0, bad.said
    assert (bad.ids, bad.dead) == ([], [])


def test_21_a_byte_order_mark_is_no_part_of_a_row(bad: Pipeline) -> None:
    path = bad.write()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert bad.run() == 0
    neighbours_live(bad, 0)


def test_26_the_far_past_is_late(bad: Pipeline) -> None:
    bad.write(b'{"id": 7, "ts": 1000, "k": "a", "v": 1}')
    step = "tumbling: {size: 1s, by: [k], aggregate: {n: count(*)}}"
    assert bad.run(step, more="late: {type: file, path: late/, format: json}") == 0
    assert [row["id"] for row in read(bad.place / "late")] == [7]


def test_28_more_windows_than_are_allowed_stop_the_run(bad: Pipeline) -> None:
    bad.write()
    step = "tumbling: {size: 1s, lateness: 1h, max_windows: 3, aggregate: {n: count(*)}}"
    assert bad.run(step) == 1
    assert "max_windows = 3" in bad.said


def test_28_windows_that_explode_are_refused(bad: Pipeline) -> None:
    bad.write()
    step = "hopping: {size: 365d, every: 1us, aggregate: {n: count(*)}}"
    assert bad.run(step) == 2
    assert "pipeline.yaml:4" in bad.said


def test_31_a_fifo_is_refused(bad: Pipeline) -> None:
    os.mkfifo(bad.place / "in.jsonl")
    assert bad.run() == 2
    assert "in.jsonl is not a regular file" in bad.said


def test_31_a_link_that_leads_outside_is_refused(bad: Pipeline) -> None:
    (bad.place / "in.jsonl").symlink_to("/etc/passwd")
    assert bad.run() == 2
    assert "leads outside" in bad.said


def test_37_control_characters_are_not_shown(bad: Pipeline) -> None:
    bad.write(b'{"id": 7, "ts": "\\u001b[31mred\\nINFO all is well", "k": "a"}')
    assert bad.run() == 0
    neighbours_live(bad)
    assert "\x1b" not in bad.dead[0]["error"] + bad.said
    assert "\n" not in bad.dead[0]["error"]


FUNCTIONS = """
import sys
import time
import polars as pl

def fragile(row: dict) -> dict:
    if row["id"] == 3:
        {what}
    return row
"""


@pytest.mark.parametrize(
    "what", ["raise ValueError('no')", "sys.exit(3)", "return 7", "return {'other': 1}",
             "raise pl.exceptions.PanicException('panic')"],
)  # fmt: skip
def test_38_a_function_that_fails(bad: Pipeline, what: str) -> None:
    bad.write()
    (bad.place / "f.py").write_text(FUNCTIONS.format(what=what))
    assert bad.run("map_rows: fragile", more="functions: [f.py]") == 0, bad.said
    assert bad.ids == [0, 1, 2, 4, 5]
    assert json.loads(bad.dead[0]["payload"])["id"] == 3


def test_38_a_function_that_gives_another_number_of_columns(bad: Pipeline) -> None:
    bad.write()
    (bad.place / "f.py").write_text(
        "def short(rows):\n    return rows.select('id') if rows.height else rows\n"
    )
    assert bad.run("map: short", more="functions: [f.py]") in (0, 1)
    assert "Traceback" not in bad.said
    assert len(bad.ids) + len(bad.dead) in (0, 6)


def test_on_error_fail_says_the_place(bad: Pipeline) -> None:
    bad.write(b'{"id": "seven"}')
    text = "on_error: fail"
    assert bad.run() == 0
    pipeline = (bad.place / "pipeline.yaml").read_text().splitlines()
    pipeline = [text if one.startswith("on_error") else one for one in pipeline]
    (bad.place / "pipeline.yaml").write_text("\n".join(pipeline))
    assert bad._children.wait(bad._children.start(bad.place)) == 1
    assert '{"id": "seven"}' in bad.said
    assert "source at " in bad.said


def test_17_a_parquet_footer_that_lies_costs_no_memory(bad: Pipeline) -> None:
    """A column of one value, which unpacks to a thousand times its size, is read by groups."""
    frame = pl.DataFrame({"id": [1], "ts": [GOOD[0]["ts"]], "k": ["x" * 1000], "v": [1.0]})
    pl.concat([frame] * 50_000).write_parquet(bad.place / "in.parquet", row_group_size=1000)
    began = time.monotonic()
    step = "tumbling: {size: 1m, by: [k], aggregate: {n: count(*)}}"
    assert bad.run(step, path="in.parquet", form="parquet") == 0
    assert [row["n"] for row in read(bad.place / "out")] == [50_000]
    assert time.monotonic() - began < 60
