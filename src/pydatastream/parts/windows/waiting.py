"""Rows that wait for the watermark, and go on in the order of event time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

import polars as pl

from pydatastream.core.batch import CLOCK, HIDDEN, Emission, Routed
from pydatastream.core.moments import instants
from pydatastream.core.operator import EventTime
from pydatastream.core.state import State
from pydatastream.core.times import FOREVER, Micros
from pydatastream.parts.windows.keyed import refuse_nulls
from pydatastream.parts.windows.windowed import NEVER

WAITING = "waiting"


@dataclass(slots=True)
class Waiting:
    """Rows not yet passed by the watermark; a step that needs order takes them from here.

    A row is late by the watermark as it stood when it arrived. Rows of one moment stay in the
    order in which they came. State: `waiting`, and the value `watermark`.
    """

    time: EventTime
    lateness: Micros
    state: State
    due: Micros = field(init=False)

    def __post_init__(self) -> None:
        self.due = self._earliest()

    @property
    def held(self) -> int:
        """How many rows wait."""
        return sum(frame.height for frame in self.state.frames(WAITING))

    def receive(self, rows: pl.DataFrame, required: Iterable[str]) -> Emission:
        """Let rows wait; those with null in a column that is required are refused, others late."""
        rows, refused = refuse_nulls(rows, required, self.time.column)
        late = self.add(rows)
        yield from refused
        if late.height:
            yield Routed("late", late)

    def add(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Let rows wait; gives back those that are late."""
        late = self.time.micros() + self.lateness < self._clock(rows)
        if rows.select(late.any()).item():
            rows, tardy = rows.filter(~late), rows.filter(late)
        else:
            tardy = rows.clear()
        if rows.height:
            self.state.append(WAITING, rows.drop(HIDDEN))
            self.due = min(self.due, self._ends(rows)[0] + self.lateness)
        return tardy

    def _clock(self, rows: pl.DataFrame) -> pl.Expr:
        known = pl.lit(int(self.state.values.get("watermark", NEVER)))
        return pl.max_horizontal(CLOCK, known) if CLOCK in rows.columns else known

    def passed(self, watermark: Micros) -> Micros:
        """The moment before which no row can come any more, now that event time has come so far."""
        known = int(self.state.values.get("watermark", NEVER))
        if watermark >= FOREVER:
            ends = (self._ends(one)[1] for one in self.state.frames(WAITING))
            watermark = max(ends, default=2 * NEVER) + self.lateness + 1
        self.state.values["watermark"] = max(known, watermark)
        return int(self.state.values["watermark"]) - self.lateness

    def take(self, until: Micros) -> pl.DataFrame | None:
        """The rows older than `until`, in the order of event time; None if there are none."""
        if until + self.lateness <= self.due:
            return None
        waiting = pl.concat(self.state.frames(WAITING))
        passes = self.time.micros() < until
        left = waiting.filter(~passes)
        if left.height:
            self.state.put(WAITING, left)
        else:
            self.state.drop(WAITING)
        self.due = self._earliest()
        return waiting.filter(passes).sort(self.time.column, maintain_order=True)

    def _earliest(self) -> Micros:
        times = [self._ends(frame)[0] for frame in self.state.frames(WAITING)]
        return min(times, default=2 * FOREVER) + self.lateness

    def _ends(self, rows: pl.DataFrame) -> tuple[Micros, Micros]:
        """The least and the greatest event time."""
        moments = instants(rows.get_column(self.time.column))
        least, most = cast(int, moments.min()), cast(int, moments.max())
        return least + self.time.shift, most + self.time.shift
