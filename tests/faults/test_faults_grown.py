"""A bounded run that ended is started again when its file has grown."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from fault_cases import REST, SOURCE, START
from fault_runs import Children, read

STEPS = {
    "tumbling": "tumbling: {size: 10s, by: [k], aggregate: {n: count(*), total: sum(v)}}",
    "hopping": "hopping: {size: 10s, every: 5s, by: [k], aggregate: {n: count(*), total: sum(v)}}",
    "session": "session: {gap: 3s, by: [k], aggregate: {n: count(*), total: sum(v)}}",
    "count": "count: {size: 4, by: [k], aggregate: {n: count(*), total: sum(v)}}",
    "rolling": "rolling: {within: 10s, by: [k], aggregate: {n: count(*), total: sum(v)}}",
    "dedupe": "dedupe: {by: [id], within: 1h}",
}
LATE = {"tumbling", "hopping", "session", "rolling", "dedupe"}
Given = list[tuple[int, float]]
"""Second and value."""


class Growing:
    """A pipeline of one step over a file that grows between runs."""

    def __init__(self, children: Children, place: Path, step: str) -> None:
        place.mkdir()
        self._children, self._place, self._count = children, place, 0
        late = "late: {type: file, path: late/, format: json}" if step in LATE else ""
        (place / "pipeline.yaml").write_text(f"""
name: grown
source: {SOURCE}
processor:
  - {STEPS[step]}
output: {{type: file, path: out/, format: json}}
{late}
{REST}""")

    def run(self, given: Given, first: int | None = None) -> None:
        """Append rows, and run to the end."""
        with (self._place / "in.jsonl").open("a") as file:
            for second, value in given:
                number = self._count if first is None else first
                row = {"id": number, "ts": START + second * 1000, "k": "a", "v": value}
                file.write(json.dumps(row) + "\n")
                self._count += 1
                first = None if first is None else first + 1
        code = self._children.wait(self._children.start(self._place))
        assert code == 0, (self._place / "stderr.txt").read_text()

    def out(self) -> list[dict[str, Any]]:
        return list(read(self._place / "out"))

    def late(self) -> list[int]:
        return sorted(row["id"] for row in read(self._place / "late"))


@pytest.fixture
def growing(children: Children, shm: Path, request: pytest.FixtureRequest) -> Growing:
    return Growing(children, shm / request.param, request.param)


def only(step: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("growing", [step], indirect=True)


def sums(growing: Growing) -> list[tuple[int, float]]:
    return [(row["n"], row["total"]) for row in growing.out()]


@only("tumbling")
def test_a_window_that_was_given_is_not_given_again(growing: Growing) -> None:
    growing.run([(0, 1.0), (5, 2.0), (12, 4.0)])
    assert sums(growing) == [(2, 3.0), (1, 4.0)]
    growing.run([(13, 8.0), (19, 16.0), (21, 32.0), (33, 64.0)])
    assert sums(growing) == [(2, 3.0), (1, 4.0), (1, 32.0), (1, 64.0)]
    assert growing.late() == [3, 4]
    growing.run([(2, 1.0), (39, 1.0), (40, 128.0)])
    assert sums(growing)[4:] == [(1, 128.0)]
    assert growing.late() == [3, 4, 7, 8]


@only("hopping")
def test_windows_that_overlap_count_what_comes_in_those_still_to_come(growing: Growing) -> None:
    growing.run([(0, 1.0), (7, 2.0)])
    before = len(growing.out())
    growing.run([(8, 4.0), (16, 8.0), (21, 16.0)])
    starts = Counter(row["window_start"] for row in growing.out())
    assert set(starts.values()) == {1}, "a window was given twice"
    assert growing.late() == [2]
    assert sums(growing)[before:] == [(1, 8.0), (2, 24.0), (1, 16.0)]


@only("session")
def test_a_session_that_was_given_is_over(growing: Growing) -> None:
    growing.run([(0, 1.0), (2, 2.0)])
    growing.run([(1, 4.0), (3, 8.0), (4, 16.0)])
    assert sums(growing) == [(2, 3.0), (2, 24.0)]
    assert growing.late() == [2]


@only("count")
def test_a_count_window_that_was_given_is_over(growing: Growing) -> None:
    growing.run([(n, 1.0) for n in range(6)])
    growing.run([(n, 2.0) for n in range(6, 11)])
    assert [(row["window"], row["n"]) for row in growing.out()] == [(0, 4), (1, 2), (2, 4), (3, 1)]


@only("rolling")
def test_rows_look_back_on_those_of_the_run_before(growing: Growing) -> None:
    growing.run([(0, 1.0), (5, 2.0)])
    growing.run([(4, 64.0), (8, 4.0), (12, 8.0)])
    assert sums(growing) == [(1, 1.0), (2, 3.0), (3, 7.0), (3, 14.0)]
    assert growing.late() == [2]


@only("dedupe")
def test_what_came_in_the_run_before_is_still_a_duplicate(growing: Growing) -> None:
    growing.run([(0, 1.0), (5, 2.0)])
    growing.run([(6, 1.0), (7, 1.0)], first=1)
    assert [row["id"] for row in growing.out()] == [0, 1, 2]
    assert growing.late() == []
