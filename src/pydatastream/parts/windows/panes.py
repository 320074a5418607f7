"""Tumbling and hopping windows at work, as panes of partial aggregates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import polars as pl

from pydatastream.core.batch import CLOCK, Emission, Emitted, Routed
from pydatastream.core.errors import StopError
from pydatastream.core.moments import instants
from pydatastream.core.operator import EventTime, Kernel
from pydatastream.core.state import State
from pydatastream.core.times import EVENT_TIME, FOREVER, Micros
from pydatastream.parts.windows.keyed import Keyed, refuse_nulls
from pydatastream.parts.windows.windowed import END, NEVER, START, Grid

SLICE, FROM = "__slice", "__from"
CHUNK = 1 << 20
"""About so many partial rows are closed at once."""


class Pane(NamedTuple):
    """A slice's rows, and the first window they count in: windows before it had closed.

    Rows arrive with a rising clock, so panes of one slice in their order are in arrival order.
    """

    slice: Micros
    first: Micros

    @property
    def name(self) -> str:
        """Its name in the state."""
        return f"{self.slice}/{self.first}"

    @classmethod
    def named(cls, name: str) -> Pane:
        """The pane of a name in the state."""
        start, first = name.split("/")
        return cls(int(start), int(first))


@dataclass(slots=True)
class GridKernel(Kernel):
    """Tumbling and hopping windows at work: one name in the state per open pane."""

    grid: Grid
    keyed: Keyed
    time: EventTime
    lateness: Micros
    required: list[str]
    max_windows: int
    state: State
    released: int = 0
    panes: set[Pane] = field(init=False)
    due: Micros = field(init=False)

    def __post_init__(self) -> None:
        self.panes = {Pane.named(name) for name in self.state.names()}
        self.due = self._earliest(self.panes)

    @property
    def watermark(self) -> Micros:
        """The watermark last heard of."""
        return int(self.state.values.get("watermark", NEVER))

    def held(self) -> int:
        return self.keyed.held(self.state)

    def on_batch(self, rows: pl.DataFrame, port: int = 0) -> Emission:  # noqa: ARG002
        rows, refused = refuse_nulls(rows, self.required, self.time.column)
        late: list[Emitted] = []
        if rows.height:
            found, tardy = self._partials(rows)
            self._capped(found)
            for pane, partial in found.items():
                self.keyed.append(self.state, pane.name, partial)
            self._opened(found.keys() - self.panes)
            late = [Routed("late", tardy)] if tardy.height else []
        yield from [*refused, *late]

    def _partials(self, rows: pl.DataFrame) -> tuple[Mapping[Pane, pl.DataFrame], pl.DataFrame]:
        """Partial aggregates by pane, and the rows that are late for all their windows."""
        moments = instants(rows.get_column(self.time.column))
        low, high = self._slice(moments.min()), self._slice(moments.max())
        tardy = CLOCK in rows.columns or self._open_from(self.watermark) > self._first(low)
        if tardy:
            return self._split(rows)
        if low == high:
            return {Pane(low, self._first(low)): self.keyed.partial(rows)}, rows.clear()
        found = self.keyed.partial(rows, self.grid.slice(self.time.micros()).alias(SLICE))
        pieces = found.partition_by(SLICE, include_key=False, as_dict=True)
        return {Pane(at, self._first(at)): piece for (at,), piece in pieces.items()}, rows.clear()

    def _split(self, rows: pl.DataFrame) -> tuple[Mapping[Pane, pl.DataFrame], pl.DataFrame]:
        clock = pl.lit(self.watermark, pl.Int64)
        if CLOCK in rows.columns:
            clock = pl.max_horizontal(CLOCK, clock)
        at = self.grid.slice(self.time.micros())
        first = pl.max_horizontal(self.grid.after(at), self.grid.after(clock - self.lateness))
        rows = rows.with_columns(at.alias(SLICE), first.alias(FROM))
        late = pl.col(FROM) > self.grid.last(pl.col(SLICE))
        found = self.keyed.partial(rows.filter(~late), SLICE, FROM)
        pieces = found.partition_by(SLICE, FROM, include_key=False, as_dict=True)
        return {Pane(*at): piece for at, piece in pieces.items()}, rows.filter(late).drop(
            SLICE, FROM
        )

    def _slice(self, moment: object) -> Micros:
        return self.grid.slice_of(cast(int, moment) + self.time.shift)

    def _first(self, start: Micros) -> Micros:
        return self.grid.after(start)

    def _open_from(self, watermark: Micros) -> Micros:
        """Start of the first window that this watermark leaves open."""
        return self.grid.after(watermark - self.lateness)

    def _capped(self, found: Mapping[Pane, pl.DataFrame]) -> None:
        count = len(self.panes | found.keys())
        if count > self.max_windows:
            raise StopError(
                f"{count} windows would be open, more than max_windows = {self.max_windows}",
                hint="a larger size, a smaller lateness, or a larger max_windows",
            )

    def _opened(self, panes: set[Pane]) -> None:
        self.panes |= panes
        self.due = min(self.due, self._earliest(panes))

    def _earliest(self, panes: set[Pane]) -> Micros:
        """The watermark at which the next window of these is complete."""
        opened = self._open_from(self.watermark)
        starts = (max(pane.first, opened) for pane in panes)
        return min(starts, default=2 * -NEVER) + self.grid.size + self.lateness

    def on_watermark(self, watermark: Micros) -> Emission:
        before = self.watermark
        if watermark >= FOREVER:
            watermark = max(before, self._last_due())
        if watermark > before:
            self.state.values["watermark"] = watermark
        if watermark >= self.due:
            yield from self._close(before, watermark)

    def _last_due(self) -> Micros:
        """The watermark at which all windows are complete."""
        starts = (self.grid.last(pane.slice) for pane in self.panes)
        return max(starts, default=2 * NEVER) + self.grid.size + self.lateness

    def _close(self, before: Micros, watermark: Micros) -> Emission:
        windows = self._complete(self._open_from(before), self._open_from(watermark))
        for chunk in self._chunks(windows):
            yield from self._emitted(chunk)
        self._retire(watermark)

    def _complete(self, opened: Micros, until: Micros) -> dict[Micros, list[Pane]]:
        """Windows from `opened` to before `until`, in order, each with its panes."""
        windows: dict[Micros, list[Pane]] = {}
        for pane in sorted(self.panes):
            stop = min(self.grid.last(pane.slice) + 1, until)
            for start in range(max(pane.first, opened), stop, self.grid.every):
                windows.setdefault(start, []).append(pane)
        return dict(sorted(windows.items()))

    def _chunks(
        self, windows: Mapping[Micros, list[Pane]]
    ) -> Iterator[list[tuple[Micros, pl.DataFrame]]]:
        chunk: list[tuple[Micros, pl.DataFrame]] = []
        rows = 0
        for start, panes in windows.items():
            frames = [frame for pane in panes for frame in self._frames(pane)]
            chunk += [(start, frame) for frame in frames]
            rows += sum(frame.height for frame in frames)
            if rows >= CHUNK:
                yield chunk
                chunk, rows = [], 0
        if chunk:
            yield chunk

    def _frames(self, pane: Pane) -> list[pl.DataFrame]:
        frames = self.state.frames(pane.name)
        if len(frames) > 1 and self.grid.size > self.grid.every:  # several windows will ask
            frames = [self.keyed.merged(frames)]
            self.state.put(pane.name, frames)
        return frames

    def _emitted(self, chunk: list[tuple[Micros, pl.DataFrame]]) -> Iterator[pl.DataFrame]:
        starts, frames = [start for start, _ in chunk], [frame for _, frame in chunk]
        if len(frames) == 1:
            yield self._final(frames[0].with_columns(pl.lit(starts[0]).alias(START)))
        elif starts[0] == starts[-1]:
            for part in self.keyed.parts(frames):
                yield self._final(part.with_columns(pl.lit(starts[0]).alias(START)))
        else:
            labels = _repeated(starts, [frame.height for frame in frames])
            rows = pl.concat(frames).with_columns(labels.alias(START))
            alone = len(set(starts)) == len(starts)
            yield self._final(rows if alone else self.keyed.merged([rows], START))

    def _final(self, merged: pl.DataFrame) -> pl.DataFrame:
        start = pl.col(START).cast(pl.Int64)
        edges = (start.cast(EVENT_TIME), (start + self.grid.size).cast(EVENT_TIME).alias(END))
        return merged.select(*self.keyed.by, *edges, *self.keyed.aggregation.final)

    def _retire(self, watermark: Micros) -> None:
        opened = self._open_from(watermark)
        for pane in sorted(self.panes):
            if self.grid.last(pane.slice) < opened:
                self.released += self.keyed.count(self.state.frames(pane.name))
                self.state.drop(pane.name)
                self.panes.discard(pane)
        self.due = self._earliest(self.panes)


def _repeated(values: list[Micros], times: list[int]) -> pl.Series:
    counts = pl.DataFrame({"value": values, "times": times})
    return counts.select(pl.col("value").repeat_by("times").explode()).to_series()
