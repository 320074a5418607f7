"""A sink that refuses a row: that row is a dead letter, in the same epoch, and only it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import polars as pl
import pytest
from fault_cases import lines, rows
from fault_runs import read

from pydatastream.core.errors import RowError, StopError
from pydatastream.core.sink import Delivery, Sink, Write, Writer
from pydatastream.pipeline import Pipeline


class PickyWriter:
    def __init__(self, kept: list[int]) -> None:
        self._kept, self._staged = kept, list[int]()

    def begin(self, epoch: int) -> None:
        self._staged = []

    def write(self, rows: pl.DataFrame) -> None:
        if rows["id"].is_in([5, 6, 13]).any():
            raise RowError("value too long for column k")
        self._staged += rows["id"].to_list()

    def publish(self, epoch: int) -> None:
        self._kept += self._staged
        self._staged = []

    def published(self) -> int | None:
        return None

    def close(self) -> None: ...


class PickySink(Sink):
    """Refuses some rows."""

    delivery: ClassVar[Delivery] = Delivery.AT_LEAST_ONCE
    kept: ClassVar[list[int]] = []

    def open(self, job: Write) -> Writer:
        self.kept.clear()
        return PickyWriter(self.kept)


def picky(place: Path) -> Pipeline:
    (place / "in.jsonl").write_bytes(lines(rows(20)))
    return Pipeline.read("file", path=str(place / "in.jsonl")).filter("id >= 0").to(PickySink())


def test_40_the_rows_that_a_sink_refuses_are_dead_letters(tmp_path: Path) -> None:
    dead = str(tmp_path / "dead")
    report = picky(tmp_path).on_error("dead_letter", "file", path=f"{dead}/", format="json").run()
    assert sorted(PickySink.kept) == [n for n in range(20) if n not in (5, 6, 13)]
    assert report.dead == 3
    letters = list(read(Path(dead)))
    assert {one["error"] for one in letters} == {"value too long for column k"}
    assert {one["step"] for one in letters} == {"output"}
    assert len(letters) == 3


def test_40_or_they_stop_the_run(tmp_path: Path) -> None:
    with pytest.raises(StopError, match="value too long"):
        picky(tmp_path).on_error("fail").run()
