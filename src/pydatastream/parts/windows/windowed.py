"""Windows of event time: which window a row is in, and when a window is complete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeVar

import polars as pl
from pydantic import Field

from pydatastream.core.errors import SchemaError
from pydatastream.core.operator import EventTime, Flow, Operator
from pydatastream.core.times import EVENT_TIME, Duration, Micros, micros
from pydatastream.core.types import need
from pydatastream.parts.sql.aggregates import Aggregation, aggregation
from pydatastream.parts.sql.expressions import columns_of
from pydatastream.parts.windows.keyed import Keyed, Names, Nulls

START, END = "window_start", "window_end"
NEVER: Micros = -(2**62)
"""The watermark before any row has come."""

Moment = TypeVar("Moment", int, pl.Expr)


class Windowed(Operator):
    """What all windows have in common: keys, aggregates, lateness."""

    primary: ClassVar[str | None] = "size"
    spread: ClassVar[str | None] = "aggregate"
    ports: ClassVar[tuple[str, ...]] = ("late",)
    aggregates: ClassVar[bool] = True

    by: Names = Field(default_factory=list)
    """Columns that make the key; without any, all rows together."""
    aggregate: dict[str, str] = Field(min_length=1)
    """What to compute: a column's name and its aggregate, `mean: avg(temperature)`."""
    lateness: Duration = "0s"
    """How long after its end a window still waits for rows; later ones go to `late`."""
    nulls: Nulls = "refuse"
    """Rows with null in a key: refuse them (they become dead letters) or keep them."""

    def flow(self, *inputs: Flow) -> Flow:
        found = self.aggregation(inputs[0])
        given = {name: inputs[0].schema[name] for name in self.by}
        columns = [*given, START, END, *found.schema]
        for name in {name for name in columns if columns.count(name) > 1}:
            raise SchemaError(f"two columns would be called {name!r}", hint="rename the aggregate")
        times = {START: EVENT_TIME, END: EVENT_TIME}
        return Flow(pl.Schema({**given, **times, **found.schema}), EventTime(END, shift=-1))

    def aggregation(self, given: Flow) -> Aggregation:
        """The aggregates, checked against what flows in."""
        time = given.event_time()
        need(given.schema, *self.by)
        return aggregation(self.aggregate, given.schema, time)

    def reads(self, needed: frozenset[str] | None) -> frozenset[str] | None:  # noqa: ARG002
        return frozenset(self.by).union(*map(columns_of, self.aggregate.values()))

    def lateness_allowed(self) -> Micros | None:
        return micros(self.lateness)

    def delay(self) -> Micros:
        return micros(self.lateness)

    def keyed(self, given: Flow) -> Keyed:
        """The aggregates by key."""
        return Keyed(tuple(self.by), self.aggregation(given))

    def required(self) -> list[str]:
        """The key columns that must not be null."""
        return self.by if self.nulls == "refuse" else []


@dataclass(frozen=True, slots=True)
class Grid:
    """Windows [start, start + size) at every multiple of `every`, moved by `offset`.

    Windows that overlap are cut at their starts and ends into slices, so that each row is
    aggregated once, however many windows it is in; there are one or two slices per `every`.
    All times in microseconds since 1970. Needs 0 < every <= size.

    References: Krishnamurthy, Wu, Franklin (2006), On-the-Fly Sharing for Streamed
    Aggregation, SIGMOD, section 3 (paired windows).
    """

    size: Micros
    every: Micros
    offset: Micros = 0

    def last(self, moment: Moment) -> Moment:
        """Start of the last window that holds the moment."""
        return (moment - self.offset) // self.every * self.every + self.offset

    def after(self, moment: Moment) -> Moment:
        """Start of the first window that ends after the moment."""
        return self.last(moment - self.size) + self.every

    def slice(self, moment: pl.Expr) -> pl.Expr:
        """Start of the slice that holds the moment."""
        start, short = self.last(moment), self.size % self.every
        if not short:
            return start
        return start + pl.when(moment - start >= short).then(short).otherwise(0)

    def slice_of(self, moment: Micros) -> Micros:
        """The same, of a number."""
        start, short = self.last(moment), self.size % self.every
        return start + short * (short > 0 and moment - start >= short)
