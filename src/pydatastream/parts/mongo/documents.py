"""Rows as documents, and documents as rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
import polars as pl

from pydatastream.core.format import Decoded
from pydatastream.core.times import EVENT_TIME
from pydatastream.parts.databases.columns import read
from pydatastream.parts.decoding.wire import written

Document = dict[str, Any]
_PLAIN = (int, float, str, bool, bytes, datetime, type(None))
_KINDS: dict[type, pl.DataType] = {
    bool: pl.Boolean(),
    int: pl.Int64(),
    float: pl.Float64(),
    str: pl.String(),
    bytes: pl.Binary(),
    datetime: EVENT_TIME,
}


def documents(rows: pl.DataFrame) -> list[Document]:
    """One document per row: dates are times at midnight, durations microseconds."""
    found: list[Document] = rows.select(_bound(rows.schema)).to_dicts()
    return found


def encoded(value: Any) -> Any:
    """A value that BSON does not know, in one that it knows."""
    import bson.decimal128

    if isinstance(value, int):
        raise OverflowError(f"MongoDB has integers of 8 bytes at most, and {value} is none")
    return bson.decimal128.Decimal128(value) if isinstance(value, Decimal) else str(value)


def rows_of(found: Sequence[Document], schema: pl.Schema) -> Decoded:
    """Documents as rows; a field that is not there is null."""
    columns = [_values(found, name, dtype) for name, dtype in schema.items()]
    return read(list(zip(*columns, strict=True)), schema, _stored)


def schema_of(found: Sequence[Mapping[str, Any]]) -> pl.Schema:
    """The fields of a sample of documents, and their types."""
    names = dict.fromkeys(name for one in found for name in one)
    return pl.Schema({name: _kind({type(one.get(name)) for one in found}) for name in names})


def _kind(kinds: set[type]) -> pl.DataType:
    known = {_KINDS.get(_base(kind)) for kind in kinds if kind is not type(None)}
    if known == {pl.Int64(), pl.Float64()}:
        return pl.Float64()
    return (known.pop() if len(known) == 1 else None) or pl.String()


def _base(kind: type) -> type:
    return next((base for base in _KINDS if issubclass(kind, base)), kind)


def _values(found: Sequence[Document], name: str, dtype: pl.DataType) -> list[Any]:
    values = [one.get(name) for one in found]
    if dtype == pl.String:
        return [one if type(one) in (str, type(None)) else _text(one) for one in values]
    if any(type(one) not in _PLAIN for one in values):
        return [_plain(one) for one in values]
    return values


def _plain(value: Any) -> Any:
    as_decimal: Callable[[], Any] | None = getattr(value, "to_decimal", None)
    return as_decimal() if as_decimal else value


def _text(value: Any) -> str:
    if isinstance(value, dict | list | bool | datetime):
        return orjson.dumps(value, default=str).decode().strip('"')
    return str(value)


def _stored(dtype: pl.DataType) -> pl.DataType:
    return pl.Int64() if isinstance(dtype, pl.Duration) else dtype


def _bound(schema: pl.Schema) -> list[pl.Expr]:
    return [_value(pl.col(name), dtype) for name, dtype in schema.items()]


def _value(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if isinstance(dtype, pl.Date):
        return column.cast(EVENT_TIME)
    if isinstance(dtype, pl.Duration | pl.Time):
        return written(column, dtype)
    return column
