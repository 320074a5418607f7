"""Windows of so many rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import polars as pl
from pydantic import Field

from pydatastream.core.batch import CLOCK, HIDDEN, Emission
from pydatastream.core.errors import SchemaError
from pydatastream.core.operator import EventTime, Flow, Kernel, Operator
from pydatastream.core.state import State
from pydatastream.core.times import EVENT_TIME, FOREVER, Micros
from pydatastream.core.types import need
from pydatastream.parts.sql.aggregates import aggregation
from pydatastream.parts.sql.expressions import columns_of
from pydatastream.parts.windows.keyed import KEY, PLACE, Keyed, Names, Nulls, refuse_nulls
from pydatastream.parts.windows.windowed import END, START

INDEX = "window"
TURN, SEEN_ROWS = "__turn", "__seen"
SEEN, OPEN = "seen", "open"


class Count(Operator):
    """Aggregate every `size` rows of a key, in the order in which they come.

    Gives the columns `by`, `window` (0, 1, 2, ... per key), with event time `window_start` and
    `window_end` (least and greatest in the window), then the aggregates, as soon as a window is
    full. At the end of the stream the windows that are not full are given too, unless
    `partial: false`. The result depends on the order of arrival.
    State: one partial row and one counter per key; cost per batch grows with the keys.
    """

    primary: ClassVar[str | None] = "size"
    spread: ClassVar[str | None] = "aggregate"
    aggregates: ClassVar[bool] = True
    example: ClassVar[str] = (
        "- count: {size: 100, by: [device_id], aggregate: {mean: avg(temperature)}}"
    )

    size: int = Field(gt=0)
    """Rows in a window."""
    by: Names = Field(default_factory=list)
    """Columns that make the key; without any, all rows together."""
    aggregate: dict[str, str] = Field(min_length=1)
    """What to compute: a column's name and its aggregate, `mean: avg(temperature)`."""
    partial: bool = True
    """Give the windows that are not full when the stream ends."""
    nulls: Nulls = "refuse"
    """Rows with null in a key: refuse them (they become dead letters) or keep them."""

    def flow(self, *inputs: Flow) -> Flow:
        keyed = self._keyed(inputs[0])
        timed = inputs[0].time is not None
        columns: list[tuple[str, pl.DataType]] = [
            *((name, inputs[0].schema[name]) for name in self.by),
            (INDEX, pl.Int64()),
            *((name, EVENT_TIME) for name in (START, END) if timed),
            *keyed.aggregation.schema.items(),
        ]
        names = [name for name, _ in columns]
        for name in {name for name in names if names.count(name) > 1}:
            raise SchemaError(f"two columns would be called {name!r}", hint="rename the aggregate")
        return Flow(pl.Schema(columns), EventTime(END) if timed else None)

    def _keyed(self, given: Flow) -> Keyed:
        need(given.schema, *self.by)
        return Keyed(tuple(self.by), aggregation(self.aggregate, given.schema, given.time))

    def reads(self, needed: frozenset[str] | None) -> frozenset[str] | None:  # noqa: ARG002
        return frozenset(self.by).union(*map(columns_of, self.aggregate.values()))

    def open(self, state: State, *inputs: Flow) -> Kernel:
        required = self.by if self.nulls == "refuse" else []
        return CountKernel(
            self.size, self._keyed(inputs[0]), inputs[0].time, required, self.partial, state
        )


@dataclass(slots=True)
class CountKernel(Kernel):
    """State: `seen`, rows so far by key; `open`, partial rows of windows not yet full."""

    size: int
    keyed: Keyed
    time: EventTime | None
    required: list[str]
    partial: bool
    state: State
    released: int = 0

    def held(self) -> int:
        return self.keyed.count(self.state.frames(OPEN))

    def on_batch(self, rows: pl.DataFrame, port: int = 0) -> Emission:  # noqa: ARG002
        rows, refused = refuse_nulls(rows, self.required)
        if rows.height:
            rows = self._numbered(rows)
            windows, seen = self._windows(rows), self._seen(rows)
            full = pl.col(self.keyed.aggregation.count) == self.size
            self._put(OPEN, windows.filter(~full).drop(PLACE, HIDDEN))
            self._put(SEEN, seen)
            yield from self._closed(windows.filter(full).sort(PLACE))
        yield from refused

    def _numbered(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows with the number of their window, those of a key together."""
        keys = self.keyed.keys
        rows = self.keyed.together(rows).with_row_index(TURN)
        turn = (pl.col(TURN) - pl.col(TURN).min().over(KEY)).cast(pl.Int64)
        seen = self.state.frame(SEEN)
        if seen is not None:
            rows = rows.join(seen, on=keys, how="left", nulls_equal=True, maintain_order="left")
            turn = turn + pl.col(SEEN_ROWS).fill_null(0)
        return rows.with_columns((turn // self.size).alias(INDEX))

    def _windows(self, rows: pl.DataFrame) -> pl.DataFrame:
        hidden = [pl.col(CLOCK).max()] if CLOCK in rows.columns else []
        at = [pl.col(PLACE).max(), *hidden]
        times = (self.time.micros(),) if self.time else ()
        spans = [e for t in times for e in (t.min().alias(START), t.max().alias(END))]
        found = self.keyed.partial(rows, INDEX, extra=[*at, *spans])
        before = self.state.frame(OPEN)
        if before is None:
            return found
        extra = [*at, pl.col(START).min(), pl.col(END).max()] if times else at
        both = pl.concat([before, found], how="diagonal")
        return self.keyed.merged([both], INDEX, extra=extra)

    def _seen(self, rows: pl.DataFrame) -> pl.DataFrame:
        keys = self.keyed.keys
        new = rows.group_by(keys, maintain_order=True).agg(pl.len().cast(pl.Int64).alias(SEEN_ROWS))
        both = pl.concat([*self.state.frames(SEEN), new])
        return both.group_by(keys, maintain_order=True).agg(pl.col(SEEN_ROWS).sum())

    def _put(self, name: str, rows: pl.DataFrame) -> None:
        if rows.height:
            self.state.put(name, rows)
        else:
            self.state.drop(name)

    def _closed(self, windows: pl.DataFrame) -> Emission:
        if windows.height:
            self.released += self.keyed.count([windows])
            edges = [pl.col(START, END).cast(EVENT_TIME)] if self.time else []
            final = self.keyed.aggregation.final
            yield windows.select(*self.keyed.by, INDEX, *edges, *final, HIDDEN)

    def on_watermark(self, watermark: Micros) -> Emission:
        rest = self.state.frame(OPEN)
        if watermark >= FOREVER and self.partial and rest is not None:
            self.state.drop(OPEN)
            self._fill()
            # By key, for the state's own order depends on how the stream was cut.
            yield from self._closed(rest.sort(self.keyed.keys))

    def _fill(self) -> None:
        """The windows given at the end are over: rows that come in a later run begin new ones."""
        seen = self.state.frame(SEEN)
        if seen is not None:
            full = (pl.col(SEEN_ROWS) + self.size - 1) // self.size * self.size
            self.state.put(SEEN, seen.with_columns(full))
