"""How far event time has come, per partition, per source, and for a step with several inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import polars as pl

from pydatastream.core.batch import CLOCK
from pydatastream.core.moments import instants
from pydatastream.core.operator import EventTime
from pydatastream.core.times import FOREVER, Micros

NEVER: Micros = -(2**62)
"""The watermark before any row has come."""

_NEW: dict[str, Any] = {
    "greatest": {},
    "idle": [],
    "more": False,
    "ended": None,
    "watermark": NEVER,
}


class Watermarks:
    """The event-time clock of one source: the minimum over its active partitions.

    A partition that was opened but has given no row holds the clock, and so do those still to be
    opened. A partition that is idle does not; one that is done is forgotten. The clock never goes
    back.
    """

    def __init__(self, saved: dict[str, Any] | None = None) -> None:
        start = _NEW | (saved or {})
        self.greatest: dict[str, Micros] = dict(start["greatest"])
        self.idle: set[str] = set(start["idle"])
        self.more: bool = start["more"]
        self.ended: Micros | None = start["ended"]
        self.watermark: Micros = start["watermark"]

    def saved(self) -> dict[str, Any]:
        """The clock as plain data, for a checkpoint."""
        return {
            "greatest": dict(self.greatest),
            "idle": sorted(self.idle),
            "more": self.more,
            "ended": self.ended,
            "watermark": self.watermark,
        }

    def open(
        self, partitions: Iterable[str], gone: Iterable[str] = (), *, more: bool = False
    ) -> None:
        """Partitions may hold the clock from now on, those `gone` since the last run no longer.

        If there are `more` to be opened, these hold it.
        """
        for partition in gone:
            self._forget(partition)
        for partition in partitions:
            self.greatest.setdefault(partition, NEVER)
        self.more = more

    def others(self, partition: str) -> Micros:
        """The clock as far as the other partitions would let it come."""
        return min(self._active(but=partition), default=FOREVER)

    def stamp(
        self, partition: str, rows: pl.DataFrame, time: EventTime, allowed: Micros
    ) -> pl.DataFrame:
        """The rows with the clock at each one's arrival in column CLOCK, if any may be late.

        A row may be late if it is more than `allowed` behind the clock; the clock at a row is
        what the rows before it have shown, but not more than the other partitions allow.
        """
        times = instants(rows[time.column])
        before, others = self.greatest.get(partition, NEVER), self.others(partition)
        lowest, highest = int(times.min()), int(times.max())  # type: ignore[arg-type]
        if lowest + allowed >= max(self.watermark, min(max(before, highest), others)):
            return rows
        if lowest + allowed >= max(self.watermark, before) and times.is_sorted():
            return rows
        running = times.cum_max().shift(1, fill_value=before).clip(lower_bound=before)
        clock = running.clip(upper_bound=others).clip(lower_bound=self.watermark)
        return rows.with_columns(clock.alias(CLOCK)) if (times + allowed < clock).any() else rows

    def seen(self, partition: str, greatest: Micros | None) -> Micros:
        """Rows came from a partition; returns the clock."""
        self.idle.discard(partition)
        before = self.greatest.get(partition, NEVER)
        self.greatest[partition] = before if greatest is None else max(before, greatest)
        return self._settle()

    def rest(self, partitions: Iterable[str], watermark: Micros) -> Micros:
        """Partitions are idle and no longer hold the clock; returns it, at least as given."""
        self.idle.update(partitions)
        self._settle()
        return self.push(watermark)

    def done(self, partition: str | None) -> Micros:
        """A partition came to its end, or with None the whole source; returns the clock.

        The end of a source is not remembered: a later run may find that the source has grown.
        """
        if partition is None:
            return FOREVER
        self._forget(partition)
        return self._settle()

    def push(self, watermark: Micros) -> Micros:
        """The wall clock moves the clock on; returns the clock."""
        self.watermark = max(self.watermark, watermark)
        return self.watermark

    def _forget(self, partition: str) -> None:
        """Keep of a partition that is over only how far all such have come."""
        self.idle.discard(partition)
        before = NEVER if self.ended is None else self.ended
        self.ended = max(before, self.greatest.pop(partition, NEVER))

    def _active(self, but: str | None = None) -> Iterator[Micros]:
        """How far those have come that hold the clock."""
        if self.more:
            yield NEVER
        for name, at in self.greatest.items():
            if name != but and name not in self.idle:
                yield at

    def _settle(self) -> Micros:
        lowest = min(self._active(), default=None)
        if lowest is None and self.ended is not None:
            lowest = max(self.ended, *self.greatest.values(), NEVER)
        return self.push(NEVER if lowest is None else lowest)
