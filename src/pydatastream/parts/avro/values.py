"""What goes to Avro's library, and comes from it."""

from __future__ import annotations

from importlib import import_module
from io import BytesIO
from typing import Any

import polars as pl

from pydatastream.core.errors import ConfigError


def carried(dtype: pl.DataType) -> pl.DataType:
    """The type whose values in Python are those that Avro's library takes and gives."""
    if dtype == pl.UInt64():
        return pl.Decimal(20, 0)
    return pl.Int64() if isinstance(dtype, pl.Duration) else dtype


def outward(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows as they are handed to Avro's library."""
    return rows.select(pl.col(one).cast(carried(dtype)) for one, dtype in rows.schema.items())


def inward(records: list[Any], schema: pl.Schema) -> pl.DataFrame:
    """Rows of what Avro's library gives."""
    plain = pl.Schema({name: carried(dtype) for name, dtype in schema.items()})
    rows = pl.DataFrame(records, schema=plain, orient="row")
    return rows.select(pl.col(one).cast(dtype) for one, dtype in schema.items())


def records_of(data: bytes, schema: Any, count: int) -> list[Any]:
    """The records of one block; `ValueError` if they do not fit the schema."""
    source, read = BytesIO(data), library("read").schemaless_reader
    try:
        parsed = library("schema").parse_schema(schema)
    except Exception as error:
        raise ValueError(str(error)) from error
    try:
        found = [read(source, parsed) for _ in range(count)]
    except EOFError:
        raise ValueError("the records end too early") from None
    if source.tell() != len(data):
        raise ValueError("bytes follow the last record")
    return found


def library(part: str) -> Any:
    """A part of the client library, or `ConfigError` that names what to install."""
    try:
        return import_module(f"fastavro.{part}")
    except ImportError:
        hint = "pip install 'pydatastreamprocessor[avro]'"
        raise ConfigError("avro needs fastavro, which is not installed", hint=hint) from None
