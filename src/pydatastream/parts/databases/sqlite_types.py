"""SQLite's types as columns, both ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from pydatastream.parts.databases.columns import json_text
from pydatastream.parts.decoding.wire import written

KINDS: dict[type[pl.DataType], str] = {
    **dict.fromkeys(
        (
            pl.Int8,
            pl.Int16,
            pl.Int32,
            pl.Int64,
            pl.UInt8,
            pl.UInt16,
            pl.UInt32,
            pl.UInt64,
            pl.Int128,
            pl.Duration,
        ),
        "integer",
    ),
    pl.Float32: "real",
    pl.Float64: "real",
    pl.Boolean: "boolean",
    pl.Binary: "blob",
    pl.Datetime: "timestamp",
    pl.Date: "date",
    pl.Decimal: "text",
}
"""The type of a column that is made; durations are microseconds."""

_DECLARED = {
    "BOOL": pl.Boolean(),
    "DATETIME": pl.Datetime("us", "UTC"),
    "INT": pl.Int64(),
    "TIMESTAMP": pl.Datetime("us", "UTC"),
    "DATE": pl.Date(),
    "CHAR": pl.String(),
    "CLOB": pl.String(),
    "TEXT": pl.String(),
    "BLOB": pl.Binary(),
    "REAL": pl.Float64(),
    "FLOA": pl.Float64(),
    "DOUB": pl.Float64(),
    "NUM": pl.Float64(),
    "DEC": pl.Float64(),
}
"""What the declared type of a column stands for: the first word found in it."""

AS_TEXT = (pl.Datetime, pl.Date, pl.Time, pl.Decimal, pl.Categorical, pl.Enum)


def meant(declared: str, values: Sequence[Any]) -> pl.DataType:
    """The type of a column, by what was declared and by what is there."""
    word = declared.upper()
    meant = next((dtype for part, dtype in _DECLARED.items() if part in word), None)
    there = {type(one) for one in values} - {type(None)}
    plain = {int: pl.Int64(), float: pl.Float64(), str: pl.String(), bytes: pl.Binary()}
    if there == {int} and isinstance(meant, pl.Datetime | pl.Date):
        return plain[int]
    return meant or (plain[there.pop()] if len(there) == 1 else pl.String())


def bound(schema: pl.Schema) -> list[pl.Expr]:
    """Columns as the library takes them."""
    return [_value(pl.col(name), dtype) for name, dtype in schema.items()]


def _value(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if dtype.is_nested():
        return json_text(column, dtype)
    if isinstance(dtype, pl.Binary):
        return column
    return (
        written(column, dtype).cast(pl.String)
        if isinstance(dtype, AS_TEXT)
        else written(column, dtype)
    )
