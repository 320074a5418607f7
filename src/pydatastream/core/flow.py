"""What flows between steps: columns, and which of them is event time."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from pydatastream.core.errors import SchemaError
from pydatastream.core.times import EVENT_TIME, Micros


@dataclass(frozen=True, slots=True)
class EventTime:
    """The column that says when a row happened, and what to add to it.

    Rows of a window happened just before its end: column window_end, shift -1.
    """

    column: str
    shift: Micros = 0

    def expr(self) -> pl.Expr:
        """Event time as an expression of type Datetime("us", "UTC")."""
        moment = pl.col(self.column)
        return moment + pl.duration(microseconds=self.shift) if self.shift else moment

    def micros(self) -> pl.Expr:
        """Event time as an expression of type Int64, in microseconds since 1970."""
        return pl.col(self.column).to_physical() + self.shift


@dataclass(frozen=True, slots=True)
class Flow:
    """What flows from one step to the next: columns, and which of them is event time."""

    schema: pl.Schema
    time: EventTime | None = None

    def event_time(self) -> EventTime:
        """The event time, or `SchemaError` saying how to declare it."""
        if self.time is None:
            raise SchemaError(
                "this step needs event time, and none is declared",
                hint="`time: <column>` at the source, or `time: processing`",
            )
        return self.time

    def keeping(self, schema: pl.Schema) -> Flow:
        """The flow with another schema; event time stays if its column does."""
        stays = self.time is not None and schema.get(self.time.column) == EVENT_TIME
        return Flow(schema, self.time if stays else None)
