"""One row per key at regular times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import polars as pl
from pydantic import Field, field_validator

from pydatastream.core.batch import Emission
from pydatastream.core.errors import SchemaError
from pydatastream.core.operator import Flow, Kernel
from pydatastream.core.state import State
from pydatastream.core.times import EVENT_TIME, Duration, Micros, micros
from pydatastream.core.types import need, type_name
from pydatastream.parts.windows.panes import GridKernel
from pydatastream.parts.windows.part import Part
from pydatastream.parts.windows.successive import Gridded
from pydatastream.parts.windows.windowed import END, NEVER, START, Grid

Fill = Literal["previous", "linear", "null", "zero"]

FILLED, LAST, GAP, STEP, BEFORE = "filled", "last", "__gap", "__step", "__before_"


class Resample(Gridded):
    """Aggregate rows by key at regular times, and fill in the times that have none.

    As `tumbling`, and a key's windows without rows are given too, once the window after them is:
    `previous` repeats the aggregates before, `linear` lies between those before and after,
    `zero` and `null` are what they say. A gap of more than `limit` windows is left as it is.
    Adds `filled`, whether a row was made up.
    State: one partial row per open window and key, and the last row given of each key.
    """

    primary: ClassVar[str | None] = "every"
    example: ClassVar[str] = (
        "- resample: {every: 1m, by: [device_id], fill: linear, "
        "aggregate: {mean: avg(temperature)}}"
    )

    every: Duration
    """From one time to the next."""
    fill: Fill | dict[str, Fill] = "previous"
    """How gaps are filled: previous, linear, zero or null; or one of these by aggregate."""
    limit: int = Field(10, ge=1)
    """So many windows are filled at most; what follows in the pipeline waits that much longer."""

    @field_validator("every")
    @classmethod
    def _not_empty(cls, every: str) -> str:
        if micros(every) < 1:
            raise ValueError("from one time to the next is at least 1us")
        return every

    def flow(self, *inputs: Flow) -> Flow:
        given = super().flow(*inputs)
        if FILLED in given.schema:
            raise SchemaError(
                f"two columns would be called {FILLED!r}", hint="rename the aggregate"
            )
        for name, way in self._ways().items():
            need(given.schema, name)
            dtype = given.schema[name]
            if (way == "linear" and not dtype.is_float()) or (
                way == "zero" and not dtype.is_numeric()
            ):
                raise SchemaError(
                    f"{name} is {type_name(dtype)}, and cannot be filled with {way!r}",
                    hint=f"fill: {{{name}: previous}}, or another one",
                )
        return Flow(pl.Schema({**given.schema, FILLED: pl.Boolean()}), given.time)

    def _ways(self) -> dict[str, Fill]:
        """How each aggregate is filled."""
        if isinstance(self.fill, str):
            return dict.fromkeys(self.aggregate, self.fill)
        return {**dict.fromkeys(self.aggregate, "previous"), **self.fill}

    def delay(self) -> Micros:
        return super().delay() + self.limit * micros(self.every)

    def open(self, state: State, *inputs: Flow) -> Kernel:
        every = micros(self.every)
        windows = self.on_grid(Grid(every, every, 0), Part(state, "windows/"), inputs[0])
        return ResampleKernel(windows, tuple(self.by), self._ways(), every, self.limit, state)


@dataclass(slots=True)
class ResampleKernel(Kernel):
    """State: the windows' own, and `last`, the last row given of each key."""

    windows: GridKernel
    by: tuple[str, ...]
    ways: dict[str, Fill]
    every: Micros
    limit: int
    state: State

    @property
    def released(self) -> int:  # type: ignore[override]
        """Input rows that left the state."""
        return self.windows.released

    def held(self) -> int:
        return self.windows.held()

    def on_batch(self, rows: pl.DataFrame, port: int = 0) -> Emission:
        return self.windows.on_batch(rows, port)

    def on_watermark(self, watermark: Micros) -> Emission:
        for closed in self.windows.on_watermark(watermark):
            yield self._filled(closed) if isinstance(closed, pl.DataFrame) else closed

    def _filled(self, closed: pl.DataFrame) -> pl.DataFrame:
        """The rows, before each those that lie between it and the row of its key before."""
        known = self.state.frames(LAST)
        rows = pl.concat([*known, closed]).with_row_index(STEP)
        values = pl.col(START, *self.ways)
        before = self._each_key(values.shift(1).name.prefix(BEFORE))
        gap = (pl.col(START).to_physical() - pl.col(f"{BEFORE}{START}").to_physical()) // self.every
        rows = rows.with_columns(before)
        self.state.put(LAST, rows.filter(self._latest()).select(closed.columns))
        new = rows.slice(sum(frame.height for frame in known)).with_columns(
            pl.when(gap.is_between(2, self.limit + 1)).then(gap).otherwise(1).alias(GAP)
        )
        steps = pl.int_ranges(1, pl.col(GAP) + 1).alias(STEP)
        found = self._between(new.with_columns(steps).explode(STEP))
        return found.select(*(pl.col(n).cast(d) for n, d in closed.schema.items()), FILLED)

    def _latest(self) -> pl.Expr:
        """Whether a row is the last of its key, and not so old that no gap can be filled."""
        newest = int(self.windows.state.values.get("watermark", NEVER))
        span = self.windows.lateness + (self.limit + 2) * self.every
        recent = pl.col(START).to_physical() >= newest - span
        return self._each_key(pl.int_range(pl.len(), 0, -1) == 1) & recent

    def _between(self, rows: pl.DataFrame) -> pl.DataFrame:
        made_up = pl.col(STEP) < pl.col(GAP)
        back = (pl.col(GAP) - pl.col(STEP)) * self.every
        start = (pl.col(START).to_physical() - back).cast(EVENT_TIME)
        values = [
            pl.when(made_up).then(self._value(name, way)).otherwise(pl.col(name)).alias(name)
            for name, way in self.ways.items()
        ]
        end = (pl.col(END).to_physical() - back).cast(EVENT_TIME)
        return rows.with_columns(*values, start.alias(START), end.alias(END), made_up.alias(FILLED))

    def _value(self, name: str, way: Fill) -> pl.Expr:
        before, after = pl.col(f"{BEFORE}{name}"), pl.col(name)
        match way:
            case "previous":
                return before
            case "linear":
                return before + (after - before) * (pl.col(STEP) / pl.col(GAP))
            case "zero":
                return pl.lit(0)
            case "null":
                return pl.lit(None)

    def _each_key(self, column: pl.Expr) -> pl.Expr:
        return column.over(self.by) if self.by else column
