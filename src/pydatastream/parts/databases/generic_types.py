"""Statements and values as SQLAlchemy takes them."""

from __future__ import annotations

import polars as pl

from pydatastream.parts.databases.columns import json_text
from pydatastream.parts.decoding.wire import written

KINDS: dict[type[pl.DataType], str] = {
    **dict.fromkeys((pl.Int8, pl.Int16, pl.UInt8), "smallint"),
    **dict.fromkeys((pl.Int32, pl.UInt16), "integer"),
    **dict.fromkeys((pl.Int64, pl.UInt32, pl.Duration), "bigint"),
    **dict.fromkeys((pl.UInt64, pl.Int128), "numeric(38)"),
    pl.Float32: "real", pl.Float64: "double precision", pl.Boolean: "boolean",
    pl.Binary: "blob", pl.Datetime: "timestamp", pl.Date: "date", pl.Time: "time",
    pl.Decimal: "numeric", pl.String: "varchar(4000)", pl.Null: "varchar(4000)",
}  # fmt: skip
"""The type of a column that is made, in words that most databases know."""


def named(statement: str) -> tuple[str, list[str]]:
    """A statement with `:v0`, `:v1` for its marks, and these names."""
    first, *rest = statement.split("?")
    names = [f"v{n}" for n in range(len(rest))]
    return first + "".join(f":{name}{part}" for name, part in zip(names, rest, strict=True)), names


def bound(schema: pl.Schema) -> list[pl.Expr]:
    """Columns as drivers take them."""
    return [_value(pl.col(name), dtype) for name, dtype in schema.items()]


def _value(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if isinstance(dtype, pl.Datetime):
        return (
            column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
            if dtype.time_zone
            else column
        )
    if dtype.is_nested():
        return json_text(column, dtype)
    if isinstance(dtype, pl.Decimal | pl.Categorical | pl.Enum):
        return column.cast(pl.String)  # few drivers take them as they are
    return written(column, dtype) if isinstance(dtype, pl.Duration) else column
