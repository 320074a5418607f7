"""Columns from text and bytes: null where a value is none of the type."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from pydatastream.core.moments import moments


def moment(values: pl.Series, dtype: pl.Datetime) -> pl.Series:
    """Times from ISO-8601 text, or from microseconds."""
    found = moments(values)
    return (found if dtype.time_zone else found.dt.replace_time_zone(None)).cast(dtype)


_READ: dict[type[pl.DataType], Callable[[pl.Series], pl.Series]] = {
    pl.Date: lambda text: text.str.to_date("%Y-%m-%d", strict=False),
    pl.Time: lambda text: text.str.to_time("%H:%M:%S%.f", strict=False),
    pl.Binary: lambda text: text.str.decode("base64", strict=False),
    pl.Boolean: lambda text: text.str.to_lowercase().replace_strict(
        ["true", "false"], [True, False], default=None, return_dtype=pl.Boolean
    ),
    pl.Duration: lambda text: text.cast(pl.Int64, strict=False).cast(pl.Duration("us")),
}


def from_bytes(values: pl.Series) -> pl.Series:
    """Text from UTF-8, without zeros at its end."""
    try:
        text = values.cast(pl.String)
    except pl.exceptions.PolarsError:
        found = [value and _text(value) for value in values]
        text = pl.Series(values.name, found, dtype=pl.String)
    return text.str.strip_chars_end("\0")


def _text(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def from_text(text: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Values that text spells; numbers may have spaces around."""
    if isinstance(dtype, pl.Datetime):
        return moment(text, dtype)
    known = _READ.get(type(dtype))
    if known:
        return known(text)
    return (text.str.strip_chars() if dtype.is_numeric() else text).cast(dtype, strict=False)
