"""Rows on which a step fails, wherever it is asked to fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from random import Random

import polars as pl
import pytest
from contract_streams import Script

from pydatastream.core.batch import Emission
from pydatastream.core.operator import Kernel
from pydatastream.engines.local.chains import Stage

BAD = "this row brings bad luck"
_MARK = 13
"""Bad rows are those at so many microseconds after a whole second."""

Before = Callable[[pl.DataFrame], pl.DataFrame]


def poisoned(script: Script, seed: int) -> tuple[Script, int]:
    """The script with some bad rows, and how many."""
    chance, count = Random(seed), 0
    frames: dict[str, dict[str, pl.DataFrame]] = {}
    for name, parts in script.frames.items():
        for part, rows in parts.items():
            bad = [chance.random() < 0.1 for _ in range(rows.height)]
            count += sum(bad)
            moved = pl.col("ts") + pl.duration(microseconds=_MARK)
            marked = rows.with_columns(
                pl.when(pl.Series(bad, dtype=pl.Boolean)).then(moved).otherwise("ts")
            )
            frames.setdefault(name, {})[part] = marked
    return replace(script, frames=frames), count


def _bad() -> pl.Expr:
    return pl.col("ts").dt.microsecond() == _MARK


def fails(rows: pl.DataFrame) -> pl.DataFrame:
    """Raise if there is a bad row."""
    if rows.select(_bad().any()).item():
        raise ValueError(BAD)
    return rows


def drops(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows without the bad ones."""
    return rows.filter(~_bad())


@contextmanager
def faulty(monkeypatch: pytest.MonkeyPatch, before: Before) -> Iterator[None]:
    """Every stage does this before it takes rows."""
    opened = Stage.open
    with monkeypatch.context() as patch:
        patch.setattr(Stage, "open", lambda self, states: _Faulty(opened(self, states), before))
        yield


class _Faulty(Kernel):
    def __init__(self, kernel: Kernel, before: Before) -> None:
        self._kernel, self._before = kernel, before

    @property
    def released(self) -> int:  # type: ignore[override]
        return self._kernel.released

    def on_batch(self, rows: pl.DataFrame, port: int = 0) -> Emission:
        yield from self._kernel.on_batch(self._before(rows), port)

    def on_watermark(self, watermark: int) -> Emission:
        return self._kernel.on_watermark(watermark)

    def held(self) -> int:
        return self._kernel.held()
