"""How values look outside: times as ISO-8601 UTC, bytes as base64, durations as microseconds."""

from __future__ import annotations

import polars as pl
from polars.datatypes import DataTypeClass

TIME_TEXT = "%Y-%m-%dT%H:%M:%S%.6fZ"
"""Event times as text: always microseconds, always UTC, so that text sorts as time does."""

_TEXT = (pl.Datetime, pl.Date, pl.Time, pl.Binary, pl.Decimal, pl.Categorical, pl.Enum)
_WHOLE = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.Duration)


def carried(dtype: pl.DataType) -> pl.DataType:
    """The type that stands for `dtype` in JSON: text, whole number, float or boolean.

    >>> carried(pl.List(pl.Date()))
    List(String)
    """
    if isinstance(dtype, pl.List):
        return pl.List(carried(instance(dtype.inner)))
    if isinstance(dtype, pl.Struct):
        return pl.Struct({one.name: carried(instance(one.dtype)) for one in dtype.fields})
    if isinstance(dtype, (*_TEXT, pl.Null)):
        return pl.String()
    if isinstance(dtype, _WHOLE):
        return pl.Int64()
    return pl.Float64() if dtype.is_float() else dtype


def written(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """A column as it is written in JSON or CSV; what Polars writes well stays as it is."""
    if isinstance(dtype, pl.List) and _unlike(instance(dtype.inner)):
        return column.list.eval(written(pl.element(), instance(dtype.inner)))
    if isinstance(dtype, pl.Struct) and _unlike(dtype):
        fields = [written(pl.field(one.name), instance(one.dtype)) for one in dtype.fields]
        return column.struct.with_fields(fields)
    if isinstance(dtype, pl.Datetime):
        zoned = column.dt.convert_time_zone("UTC") if dtype.time_zone else column
        return zoned.dt.strftime(TIME_TEXT)
    if isinstance(dtype, pl.Duration):
        return column.dt.total_microseconds()
    if isinstance(dtype, pl.Time):
        return column.dt.strftime("%H:%M:%S%.6f")
    return column.bin.encode("base64") if dtype == pl.Binary else column


def _unlike(dtype: pl.DataType) -> bool:
    if isinstance(dtype, pl.List):
        return _unlike(instance(dtype.inner))
    if isinstance(dtype, pl.Struct):
        return any(_unlike(instance(one.dtype)) for one in dtype.fields)
    return isinstance(dtype, (pl.Datetime, pl.Duration, pl.Time, pl.Binary))


def instance(dtype: pl.DataType | DataTypeClass) -> pl.DataType:
    """A type as an object: Polars names an inner one by its class at times."""
    return dtype() if isinstance(dtype, DataTypeClass) else dtype
