"""Read times from text or numbers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl
from pydantic import Field, field_validator

from pydatastream.core.errors import RowError, SchemaError
from pydatastream.core.moments import moments
from pydatastream.core.operator import Flow, Invalid, RowOperator
from pydatastream.core.times import EVENT_TIME
from pydatastream.core.types import need, type_name

_HAS_OFFSET = r"\d[T ].*(?:[zZ]|[+-]\d\d(?::?\d\d)?)\s*$"
"""ISO-8601 text that names its own offset from UTC."""


class ParseTime(RowOperator):
    """Read times from text or numbers, as timestamps in UTC.

    Text is ISO 8601 unless a `format` is given; an offset in the text (`+02:00`, `Z`) counts,
    and without one the text is a time of `timezone`. There, an hour that is skipped or comes
    twice when clocks change does not say which moment is meant: it is invalid. Numbers count
    from 1970 in `unit`. Only years 1 to 9999 are times.
    """

    primary: ClassVar[str | None] = "column"
    example: ClassVar[str] = "- parse_time: {column: n, unit: s, as: measured}"

    column: str
    """The column to read."""
    format: str | None = None
    """How text is written, as in strftime: "%d.%m.%Y %H:%M"; `%z` reads an offset."""
    unit: Literal["s", "ms", "us", "ns"] | None = None
    """The unit of a number."""
    timezone: str = "UTC"
    """The time zone that text without an offset is in: Europe/Berlin."""
    into: str | None = Field(None, alias="as")
    """The column to write; without it the column itself is replaced."""
    invalid: Invalid = "dead_letter"
    """dead_letter, or null: what a value that is no time becomes."""

    @field_validator("timezone")
    @classmethod
    def _known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{zone!r} is no time zone; write it like Europe/Berlin") from None
        return zone

    def flow(self, *inputs: Flow) -> Flow:
        flow, name = inputs[0], self.into or self.column
        need(flow.schema, self.column)
        self._check(flow.schema[self.column])
        if flow.time and flow.time.column == name:
            raise SchemaError(f"{name!r} is the event time already", hint="another name in `as`")
        return Flow(pl.Schema({**flow.schema, name: EVENT_TIME}), flow.time)

    def reads(self, needed: frozenset[str] | None) -> frozenset[str] | None:
        if needed is None:
            return None
        return needed - {self.into or self.column} | {self.column}

    def query(self, flow: Flow) -> Callable[[pl.LazyFrame], pl.LazyFrame]:  # noqa: ARG002
        # Not declared elementwise: Polars would add its own words to the error, and move filters.
        read = pl.col(self.column).map_batches(self._read, return_dtype=EVENT_TIME)
        return lambda rows: rows.with_columns(read.alias(self.into or self.column))

    def _check(self, dtype: pl.DataType) -> None:
        found = f"column {self.column!r} holds {type_name(dtype)}"
        if dtype != pl.String and not (dtype.is_integer() or dtype.is_float()):
            raise SchemaError(f"{found}: a time is read from text or a number")
        if dtype == pl.String and self.unit:
            raise SchemaError(f"{found}, and `unit` is for numbers", hint="`format`, or a cast")
        if dtype != pl.String and not self.unit:
            raise SchemaError(f"{found}: say what it counts", hint="unit: s, ms, us or ns")

    def _read(self, values: pl.Series) -> pl.Series:
        times = self._from_text(values) if values.dtype == pl.String else self._from_number(values)
        if self.invalid == "dead_letter" and times.null_count() > values.null_count():
            wrong = values.filter(times.is_null() & values.is_not_null())[0]
            raise RowError(f"column {self.column!r}: {wrong!r} is no time{self._wanted()}")
        return times

    def _from_number(self, values: pl.Series) -> pl.Series:
        finite = values.set(~values.is_finite(), None) if values.dtype.is_float() else values
        return moments(finite, self.unit)

    def _from_text(self, values: pl.Series) -> pl.Series:
        if self.format:
            return self._by_format(values, self.format)
        times = moments(values)
        if self.timezone == "UTC":
            return times
        local = self._located(times.dt.replace_time_zone(None))
        return times.zip_with(values.str.contains(_HAS_OFFSET), local)

    def _by_format(self, values: pl.Series, form: str) -> pl.Series:
        times = values.str.to_datetime(form, time_unit="us", strict=False)
        zoned = isinstance(times.dtype, pl.Datetime) and times.dtype.time_zone
        return _in_range(times.dt.convert_time_zone("UTC") if zoned else self._located(times))

    def _located(self, local: pl.Series) -> pl.Series:
        moment = local.dt.replace_time_zone(self.timezone, ambiguous="null", non_existent="null")
        return moment.dt.convert_time_zone("UTC")

    def _wanted(self) -> str:
        kind = f"of the form {self.format}" if self.format else "in ISO 8601"
        zone = "" if self.timezone == "UTC" else f" in {self.timezone}"
        return f" in {self.unit} since 1970" if self.unit else f" {kind}{zone}"


def _in_range(times: pl.Series) -> pl.Series:
    return times.set(~times.dt.year().is_between(datetime.min.year, datetime.max.year), None)
