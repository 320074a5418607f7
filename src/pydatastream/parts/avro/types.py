"""Avro's types and ours.

References: Apache Avro 1.12, Specification: Schema Declaration, Logical Types.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from pydatastream.core.errors import SchemaError
from pydatastream.core.times import EVENT_TIME
from pydatastream.parts.decoding.wire import instance

_PLAIN: dict[str, pl.DataType] = {
    "null": pl.Null(),
    "boolean": pl.Boolean(),
    "int": pl.Int32(),
    "long": pl.Int64(),
    "float": pl.Float32(),
    "double": pl.Float64(),
    "bytes": pl.Binary(),
    "fixed": pl.Binary(),
    "string": pl.String(),
    "enum": pl.String(),
}
_LOGICAL: dict[str, pl.DataType] = {
    "timestamp-millis": EVENT_TIME,
    "timestamp-micros": EVENT_TIME,
    "local-timestamp-millis": pl.Datetime("us"),
    "local-timestamp-micros": pl.Datetime("us"),
    "date": pl.Date(),
    "time-millis": pl.Time(),
    "time-micros": pl.Time(),
    "uuid": pl.String(),
}
_NAMED: dict[str, pl.DataType] = {
    "int8": pl.Int8(),
    "int16": pl.Int16(),
    "uint8": pl.UInt8(),
    "uint16": pl.UInt16(),
    "uint32": pl.UInt32(),
    "uint64": pl.UInt64(),
    "duration": pl.Duration("us"),
}
"""Types that Avro has no name for: `pds` beside its own type names them; others pass over it."""

_WRITTEN: dict[pl.DataType, Any] = {
    pl.Boolean(): "boolean",
    pl.Int32(): "int",
    pl.Int8(): {"type": "int", "pds": "int8"},
    pl.Int16(): {"type": "int", "pds": "int16"},
    pl.UInt8(): {"type": "int", "pds": "uint8"},
    pl.UInt16(): {"type": "int", "pds": "uint16"},
    pl.UInt32(): {"type": "long", "pds": "uint32"},
    pl.UInt64(): {
        "type": "bytes",
        "logicalType": "decimal",
        "precision": 20,
        "scale": 0,
        "pds": "uint64",
    },
    pl.Duration("us"): {"type": "long", "pds": "duration"},
    pl.Int64(): "long",
    pl.Float32(): "float",
    pl.Float64(): "double",
    pl.String(): "string",
    pl.Binary(): "bytes",
    pl.Date(): {"type": "int", "logicalType": "date"},
    EVENT_TIME: {"type": "long", "logicalType": "timestamp-micros"},
}


def columns_of(schema: Any) -> pl.Schema:
    """The columns of a record of Avro; `SchemaError` for what a column cannot hold."""
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise SchemaError("an Avro schema of rows is a record")
    return pl.Schema({one["name"]: _read(one["type"], one["name"]) for one in schema["fields"]})


def _read(kind: Any, name: str) -> pl.DataType:
    if isinstance(kind, list):
        some = [one for one in kind if one != "null"]
        if len(some) > 1:
            raise SchemaError(f"{name}: a column cannot hold one of several types: {some}")
        return _read(some[0], name) if some else pl.Null()
    if not isinstance(kind, str | dict):
        raise SchemaError(f"{name}: {kind!r} is no type")
    if isinstance(kind, str):
        if kind not in _PLAIN:
            raise SchemaError(f"{name}: the type {kind!r} is not supported")
        return _PLAIN[kind]
    if known := _NAMED.get(kind.get("pds", "")) or _logical(kind):
        return known
    if kind["type"] == "array":
        return pl.List(_read(kind["items"], name))
    if kind["type"] == "record":
        fields = kind["fields"]
        return pl.Struct({one["name"]: _read(one["type"], name) for one in fields})
    return _read(kind["type"], name)


def _logical(kind: dict[str, Any]) -> pl.DataType | None:
    if kind.get("logicalType") == "decimal":
        return pl.Decimal(kind["precision"], kind.get("scale", 0))
    return _LOGICAL.get(kind.get("logicalType", ""))


def record_of(schema: pl.Schema, name: str = "Row") -> dict[str, Any]:
    """The record of Avro for some columns, each nullable; `SchemaError` for one it cannot hold."""
    fields = [
        {"name": one, "type": ["null", _write(dtype, f"{name}_{one}")], "default": None}
        for one, dtype in schema.items()
    ]
    return {"type": "record", "name": name, "fields": fields}


def _write(dtype: pl.DataType, name: str) -> Any:
    if isinstance(dtype, pl.List):
        return {"type": "array", "items": ["null", _write(instance(dtype.inner), name)]}
    if isinstance(dtype, pl.Struct):
        fields = {one.name: instance(one.dtype) for one in dtype.fields}
        return record_of(pl.Schema(fields), name)
    if isinstance(dtype, pl.Decimal) and dtype.precision:
        digits = {"precision": dtype.precision, "scale": dtype.scale}
        return {"type": "bytes", "logicalType": "decimal", **digits}
    if dtype not in _WRITTEN:
        raise SchemaError(f"avro cannot carry column {name.partition('_')[2]!r} of type {dtype}")
    return _WRITTEN[dtype]
