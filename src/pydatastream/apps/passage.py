"""How far a loop has gone, and what of that was committed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import polars as pl

from pydatastream.core.batch import Offset
from pydatastream.engines.local import Pull, Pulled

EVERY = 1.0
"""Seconds between two commits."""


class Passage:
    """Gives records to a loop, and commits what the loop has gone past: never more."""

    def __init__(self, pull: Pull, before: Callable[[], object], limit: int | None) -> None:
        self._pull, self._before = pull, before
        self.left = limit
        """How many records are still wanted; None: all there are."""
        self._passed: dict[str, Offset] = {}
        self._due = time.monotonic() + EVERY

    def through(self, pulled: Pulled, records: Iterator[tuple[int, Any]]) -> Iterator[Any]:
        """One record after the other, told with their offsets; no more than are wanted."""
        at, clock = None, time.monotonic
        try:
            for at, record in records:
                if self.left == 0:
                    return
                if self.left is not None:
                    self.left -= 1
                yield record
                if clock() >= self._due:
                    self._pass(pulled, at + 1)
                    self.commit()
            at = None
        finally:
            self._pass(pulled, at)

    def at_once(
        self, pulled: Pulled, offsets: pl.Series, rows: pl.DataFrame
    ) -> Iterator[pl.DataFrame]:
        """All rows, no more than are wanted."""
        wanted = self._wanted(rows.height)
        yield rows.head(wanted)
        self._pass(pulled, None if wanted == rows.height else offsets[wanted])

    def commit_if_due(self) -> None:
        """Commit if a second has passed since the last time."""
        if time.monotonic() >= self._due:
            self.commit()

    def commit(self) -> None:
        """Commit what the loop has gone past."""
        passed, self._passed = self._passed, {}
        if passed:
            self._before()
        for partition, offset in passed.items():
            self._pull.commit(partition, offset)
        self._due = time.monotonic() + EVERY

    def _wanted(self, count: int) -> int:
        if self.left is None:
            return count
        wanted = min(count, self.left)
        self.left -= wanted
        return wanted

    def _pass(self, pulled: Pulled, offset: int | None) -> None:
        """The loop stands before an offset; None: behind all of it."""
        at = pulled.offset if offset is None else {**pulled.offset, "offset": offset}
        self._passed[pulled.piece.partition] = at
