"""Column types by name, for `schema:` and `cast`, and the words users see."""

from __future__ import annotations

from typing import Annotated, Any

import polars as pl
from pydantic import BeforeValidator

from pydatastream.core.errors import SchemaError, nearest
from pydatastream.core.times import EVENT_TIME

TYPES: dict[str, pl.DataType] = {
    "string": pl.String(),
    "int": pl.Int64(),
    "int8": pl.Int8(),
    "int16": pl.Int16(),
    "int32": pl.Int32(),
    "int64": pl.Int64(),
    "uint8": pl.UInt8(),
    "uint16": pl.UInt16(),
    "uint32": pl.UInt32(),
    "uint64": pl.UInt64(),
    "float": pl.Float64(),
    "float32": pl.Float32(),
    "float64": pl.Float64(),
    "bool": pl.Boolean(),
    "timestamp": EVENT_TIME,
    "date": pl.Date(),
    "duration": pl.Duration("us"),
    "binary": pl.Binary(),
    "decimal": pl.Decimal(38, 9),
}
"""Every type name a pipeline file may use."""

_WORDS = {TYPES[name]: name for name in reversed(TYPES)}


def type_of(name: str) -> pl.DataType:
    """The type a name stands for; `list[...]` nests.

    >>> type_of("list[int]")
    List(Int64)
    """
    words = name.strip().lower()
    if words.startswith("list[") and words.endswith("]"):
        return pl.List(type_of(words[5:-1]))
    if words not in TYPES:
        raise SchemaError(f"{name!r} is not a column type", hint=nearest(words, TYPES))
    return TYPES[words]


def type_name(dtype: pl.DataType) -> str:
    """The word for a type, as a pipeline file would spell it.

    >>> type_name(pl.Int64()), type_name(pl.List(pl.String()))
    ('int', 'list[string]')
    """
    if isinstance(dtype, pl.List):
        inner = dtype.inner() if isinstance(dtype.inner, type) else dtype.inner
        return f"list[{type_name(inner)}]"
    return _WORDS.get(dtype, str(dtype).lower())


def schema_text(schema: pl.Schema) -> str:
    """A schema on one line: `a: int, b: string`."""
    return ", ".join(f"{name}: {type_name(dtype)}" for name, dtype in schema.items())


def need(schema: pl.Schema, *columns: str) -> None:
    """Raise `SchemaError` for the first column that is not there."""
    for column in columns:
        if column not in schema:
            raise SchemaError(f"no column {column!r}", hint=nearest(column, schema.names()))


def _spelled(columns: Any) -> Any:
    """Accept `id: string` only where it names a known type."""
    for name in columns.values() if isinstance(columns, dict) else ():
        try:
            type_of(str(name))
        except SchemaError as error:
            raise ValueError(str(error)) from None
    return columns


Columns = Annotated[dict[str, str], BeforeValidator(_spelled)]
"""Columns and their types, as a description spells them."""
