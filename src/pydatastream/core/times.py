"""Durations as text ("500ms", "1m"), and event time in microseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import polars as pl
from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from pydatastream.core.errors import ConfigError

Micros = int
"""Microseconds, of a duration or since 1970-01-01 UTC."""

EVENT_TIME = pl.Datetime("us", "UTC")
"""The one type of event time: microseconds in UTC."""

FOREVER: Micros = 2**62
"""A watermark after which no row can come: the end of a bounded stream."""

UNITS = {"us": 1, "ms": 1_000, "s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(us|ms|s|m|h|d)")
_WHOLE = re.compile(rf"(?:{_PART.pattern}\s*)+")


def micros(text: str | timedelta) -> Micros:
    """Microseconds in a duration.

    >>> micros("1m"), micros("1h30m"), micros("500ms")
    (60000000, 5400000000, 500000)
    """
    if isinstance(text, timedelta):
        return text // timedelta(microseconds=1)
    words = str(text).strip()
    if not _WHOLE.fullmatch(words):
        raise ConfigError(
            f"{words!r} is not a duration", hint="a number and a unit: 500ms, 10s, 1m, 2h, 1d"
        )
    return round(sum(float(number) * UNITS[unit] for number, unit in _PART.findall(words)))


def duration_text(length: Micros) -> str:
    """The shortest text that `micros` reads back.

    >>> duration_text(90_000_000), duration_text(0)
    ('90s', '0s')
    """
    for unit in reversed(UNITS):
        if length and length % UNITS[unit] == 0:
            return f"{length // UNITS[unit]}{unit}"
    return "0s"


def _checked(value: Any) -> str:
    try:
        return duration_text(micros(value))
    except ConfigError as error:
        raise ValueError(str(error)) from None


Duration = Annotated[
    str,
    BeforeValidator(_checked),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "pattern": f"^{_WHOLE.pattern}$", "x-word": "duration"}),
]
"""A duration in a description: text such as "1m", checked when it is read."""


def utc(moment: Micros) -> datetime:
    """The moment as a datetime in UTC."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)


def utc_text(moment: Micros) -> str:
    """The moment as ISO-8601 in UTC, or what it stands for when it is no date."""
    try:
        return utc(moment).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return "end of time" if moment > 0 else "before time"
