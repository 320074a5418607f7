"""PostgreSQL's types as columns, both ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pydatastream.core.times import EVENT_TIME

if TYPE_CHECKING:
    import psycopg

KINDS: dict[type[pl.DataType], str] = {
    pl.Int8: "smallint",
    pl.Int16: "smallint",
    pl.Int32: "integer",
    pl.Int64: "bigint",
    pl.UInt8: "smallint",
    pl.UInt16: "integer",
    pl.UInt32: "bigint",
    pl.UInt64: "numeric(20)",
    pl.Int128: "numeric(39)",
    pl.Float32: "real",
    pl.Float64: "double precision",
    pl.Boolean: "boolean",
    pl.Binary: "bytea",
    pl.Datetime: "timestamptz",
    pl.Date: "date",
    pl.Time: "time",
    pl.Duration: "bigint",
    pl.Decimal: "numeric",
}
"""The type of a column that is made; durations are microseconds."""

NUMERIC, TIMESTAMP = 1700, 1114

_READ: dict[int, pl.DataType] = {
    16: pl.Boolean(),
    17: pl.Binary(),
    20: pl.Int64(),
    21: pl.Int16(),
    23: pl.Int32(),
    26: pl.Int64(),
    700: pl.Float32(),
    701: pl.Float64(),
    1082: pl.Date(),
    1083: pl.Time(),
    TIMESTAMP: EVENT_TIME,
    1184: EVENT_TIME,
    1186: pl.Duration("us"),
}
"""By the number that a type has in every server."""

_ARRAYS = (1000, 1005, 1007, 1009, 1015, 1016, 1021, 1022, 1115, 1182, 1185, 1231, 2951)

FETCHED = {
    **dict.fromkeys(_READ, "{}"),
    **dict.fromkeys(_ARRAYS, "to_json({})::text"),
    NUMERIC: "{}",
    TIMESTAMP: "{} at time zone 'UTC'",
}
"""How a column is fetched; all others as text."""


PRIMARY_KEY = (
    "select a.attname::text from pg_index i join pg_attribute a on a.attrelid = i.indrelid "
    "and a.attnum = any(i.indkey) where i.indisprimary and i.indrelid = to_regclass(%s) "
    "order by array_position(i.indkey::int2[], a.attnum)"
)
"""The columns of a table's primary key, in their order there."""


def fetched(column: psycopg.Column) -> pl.DataType:
    """The type of a column that is read; a numeric without a scale is a float."""
    if column.type_code != NUMERIC:
        return _READ.get(column.type_code, pl.String())
    digits = column.precision
    return pl.Float64() if not digits or digits > 38 else pl.Decimal(digits, column.scale or 0)
