"""Event times from what streams carry: numbers since 1970, and ISO-8601 text."""

from __future__ import annotations

import polars as pl

from pydatastream.core.errors import SchemaError
from pydatastream.core.times import EVENT_TIME, Micros

ISO_FORMATS = (
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
)
"""The ISO-8601 forms that are read, most common first; without a zone, UTC is meant."""

EARLIEST: Micros = -62_135_596_800 * 10**6
LATEST: Micros = 253_402_300_800 * 10**6 - 1
"""Years 1 to 9999: what every calendar and every sink can express."""

PER_UNIT = {"s": 1_000_000.0, "ms": 1_000.0, "us": 1.0, "ns": 0.001}


def moments(values: pl.Series, unit: str | None = None) -> pl.Series:
    """Event times as Datetime("us", "UTC"); null where a value is none.

    `unit` is that of a number: s, ms, us or ns. Integers are exact.
    """
    if values.dtype.is_temporal():
        return _from_temporal(values)
    if values.dtype == pl.String:
        return _from_text(values)
    if not values.dtype.is_numeric():
        raise SchemaError(f"column {values.name!r} of type {values.dtype} is no event time")
    return _from_number(values, unit or "us")


def instants(times: pl.Series) -> pl.Series:
    """Event times as whole microseconds since 1970.

    A cast costs a microsecond, where `to_physical` of a Series starts a query of its own.
    """
    return times.cast(pl.Int64)


def _from_temporal(values: pl.Series) -> pl.Series:
    if isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone:
        values = values.dt.convert_time_zone("UTC")
    return values.cast(EVENT_TIME, strict=False)


def _from_text(values: pl.Series) -> pl.Series:
    parsed = _parsed(values, ISO_FORMATS[0])
    for form in ISO_FORMATS[1:]:
        if parsed.null_count() == values.null_count():
            break
        parsed = parsed.zip_with(parsed.is_not_null(), _parsed(values, form))
    return parsed


def _parsed(values: pl.Series, form: str) -> pl.Series:
    return values.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False)


def _from_number(values: pl.Series, unit: str) -> pl.Series:
    per = PER_UNIT[unit]
    first, last = EARLIEST / per, LATEST / per
    if not _all_between(values, first, last):
        values = _only(values, values.is_between(first, last))
    return _scaled(values, unit).cast(EVENT_TIME)


def _all_between(values: pl.Series, first: float, last: float) -> bool:
    """Whether every value is one, and within the bounds."""
    if values.null_count() or not len(values) or values.dtype.is_float():
        return bool(values.is_between(first, last).all()) and not values.null_count()
    return bool(values.min() >= first and values.max() <= last)  # type: ignore[operator]


def _only(values: pl.Series, keep: pl.Series) -> pl.Series:
    frame = pl.select(pl.when(keep).then(values).otherwise(None).alias(values.name))
    return frame.to_series()


def _scaled(values: pl.Series, unit: str) -> pl.Series:
    if values.dtype.is_float():
        return (values * PER_UNIT[unit]).round().cast(pl.Int64)
    whole = values.cast(pl.Int64)
    return whole // 1_000 if unit == "ns" else whole * int(PER_UNIT[unit])
