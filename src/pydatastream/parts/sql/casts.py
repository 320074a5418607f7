"""Casts, and times and durations written in the text."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import polars as pl

from pydatastream.core.errors import ConfigError, nearest
from pydatastream.core.times import EVENT_TIME, micros
from pydatastream.core.types import TYPES, type_name
from pydatastream.parts.sql import values as v
from pydatastream.parts.sql.values import Unfit, Value

_SQL_NAMES = {
    "text": "string", "varchar": "string", "char": "string", "nvarchar": "string",
    "tinyint": "int8", "smallint": "int16", "integer": "int", "bigint": "int", "long": "int",
    "utinyint": "uint8", "usmallint": "uint16", "uint": "uint32", "ubigint": "uint64",
    "double": "float", "real": "float32", "boolean": "bool", "bytes": "binary", "blob": "binary",
    "varbinary": "binary", "timestampntz": "timestamp", "timestamptz": "timestamp",
    "timestampltz": "timestamp", "datetime": "timestamp", "interval": "duration",
}  # fmt: skip

_UNITS = {
    "microsecond": "us", "millisecond": "ms", "second": "s", "minute": "m", "hour": "h",
    "day": "d", "us": "us", "ms": "ms", "s": "s", "m": "m", "h": "h", "d": "d", "min": "m",
}  # fmt: skip


def named_type(name: str) -> pl.DataType:
    """The type for a name in a cast: ours ("int", "list[float]") and SQL's ("bigint")."""
    words = name.strip().lower()
    if words.endswith("[]"):
        return pl.List(named_type(words[:-2]))
    words = _SQL_NAMES.get(words, words)
    if words not in TYPES:
        raise Unfit(f"{name!r} is not a type", nearest(words, [*TYPES, *_SQL_NAMES]))
    return TYPES[words]


def read_time(text: str) -> Value:
    """A timestamp written in the text; without a zone it is UTC."""
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        raise Unfit(f"{text!r} is not a timestamp", "e.g. '2024-01-31 12:00:00'") from None
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return v.literal(when, EVENT_TIME)


def read_date(text: str) -> Value:
    """A date written in the text."""
    try:
        return v.literal(date.fromisoformat(text.strip()), pl.Date())
    except ValueError:
        raise Unfit(f"{text!r} is not a date", "e.g. '2024-01-31'") from None


def read_interval(amount: str, unit: str | None) -> Value:
    """A duration: interval '5 minutes', interval '1h30m'."""
    short = _UNITS.get(
        (unit or "").lower().removesuffix("s") or "", _UNITS.get((unit or "").lower())
    )
    if unit and short is None:
        raise Unfit(f"an interval in {unit.lower()} has no fixed length", "at most days: '30 days'")
    words = f"{amount}{short}" if short else _long_units(amount)
    try:
        length = micros(words)
    except ConfigError as error:
        raise Unfit(error.what, "interval '5 minutes', interval '1h30m'") from None
    return v.literal(timedelta(microseconds=length), v.SPAN)


def _long_units(words: str) -> str:
    def short(found: re.Match[str]) -> str:
        word = found[0].lower()
        return _UNITS.get(word) or _UNITS.get(word.removesuffix("s")) or word

    return re.sub(r"[a-zA-Z]+", short, words)


def cast(value: Value, dtype: pl.DataType, strict: bool = True) -> Value:
    """`CAST(value AS dtype)`; strict: what does not fit is an error of the row, else null.

    Floats become integers by cutting off the fraction. Text becomes a timestamp by ISO 8601.
    """
    if isinstance(value.constant, str) and dtype in (EVENT_TIME, pl.Date()):
        return read_time(value.constant) if dtype == EVENT_TIME else read_date(value.constant)
    return value.like(_cast(value, dtype, strict), dtype)


def _cast(value: Value, dtype: pl.DataType, strict: bool) -> pl.Expr:
    source, target = value.family, v.family(dtype)
    if (source, target) == (v.STRING, v.TIMESTAMP):
        return _times(value.expr.cast(v.TEXT), strict)
    if (source, target) == (v.STRING, v.BOOL):
        return _booleans(value.expr.cast(v.TEXT), strict)
    if (source, target) == (v.STRING, v.NUMBER):
        return value.expr.cast(v.TEXT).str.strip_chars().cast(dtype, strict=strict)
    if (source, target) == (v.TIMESTAMP, v.STRING):
        return v.moment(value).expr.dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ")
    if source in (v.DATE, v.TIMESTAMP) and target in (v.DATE, v.TIMESTAMP):
        return v.moment(value).expr.cast(dtype, strict=strict)
    if (source, target) not in _PLAIN and source is not target and source is not v.NULL:
        raise Unfit(f"cannot cast {value} to {type_name(dtype)}", _cast_hint(source, target))
    return value.expr.cast(dtype, strict=strict)


_PLAIN = {
    (v.NUMBER, v.STRING), (v.NUMBER, v.BOOL), (v.BOOL, v.NUMBER), (v.BOOL, v.STRING),
    (v.STRING, v.DATE), (v.DATE, v.STRING), (v.STRING, v.BINARY), (v.BINARY, v.STRING),
}  # fmt: skip


def _cast_hint(source: str, target: str) -> str | None:
    if (source, target) == (v.NUMBER, v.TIMESTAMP):
        return "to_timestamp(seconds), or epoch_ms(milliseconds)"
    if (source, target) == (v.TIMESTAMP, v.NUMBER):
        return "epoch(ts) gives seconds, epoch_ms(ts) milliseconds"
    if (source, target) == (v.DURATION, v.NUMBER):
        return "epoch(duration) gives seconds"
    return None


def _times(text: pl.Expr, strict: bool) -> pl.Expr:
    """Each text by its own shape: what a row gives must not depend on its neighbours."""
    words = text.str.strip_chars().str.replace(" ", "T", literal=True)
    zoned = words.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%#z", time_unit="us", strict=False)
    plain = words.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False)
    days = words.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
    found = pl.coalesce(zoned.cast(EVENT_TIME), plain.dt.replace_time_zone("UTC"),
                        days.dt.replace_time_zone("UTC"))  # fmt: skip
    return pl.coalesce(found, _refused(text, found)) if strict else found


def _refused(text: pl.Expr, found: pl.Expr) -> pl.Expr:
    """Null, or an error naming the texts that were not understood."""
    left_over = pl.when(found.is_null()).then(text)
    return left_over.str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us").dt.replace_time_zone(
        "UTC"
    )


def _booleans(text: pl.Expr, strict: bool) -> pl.Expr:
    words = text.str.strip_chars().str.to_lowercase()
    found = pl.when(words.is_in(["true", "t", "1"])).then(True).when(
        words.is_in(["false", "f", "0"])
    ).then(False)  # fmt: skip
    if not strict:
        return found
    left_over = pl.when(found.is_null()).then(text).cast(v.INT).cast(v.BOOLEAN)
    return pl.coalesce(found, left_over)
