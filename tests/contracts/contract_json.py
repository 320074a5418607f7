"""Rows as JSON, written and read by the standard library, for systems that carry bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Any

import polars as pl


class JsonRows:
    """For a truth whose rows travel as JSON: what JSON itself can tell apart."""

    def carries(self, dtype: pl.DataType) -> bool:
        return isinstance(dtype, pl.String | pl.Boolean | pl.List | pl.Datetime) or (
            dtype.is_integer()
        )


def columns(schema: pl.Schema) -> dict[str, str]:
    """A schema as a source's `schema:` says it; names tell the types."""
    return {name: _word(name) for name in schema}


def _word(name: str) -> str:
    kind = name.removeprefix("a_")
    return "int" if name == "id" else f"list[{kind[5:]}]" if kind.startswith("list_") else kind


def written(rows: pl.DataFrame) -> list[bytes]:
    """One message per row."""
    write = partial(json.dumps, default=datetime.isoformat, ensure_ascii=False)
    return [write(row).encode() for row in rows.to_dicts()]


def read(messages: Iterable[bytes | str], schema: pl.Schema) -> pl.DataFrame:
    """The rows of such messages."""
    moments = [name for name, dtype in schema.items() if isinstance(dtype, pl.Datetime)]
    rows = [_read(json.loads(one), moments) for one in messages]
    return pl.DataFrame(rows, schema=schema)


def _read(row: dict[str, Any], moments: list[str]) -> dict[str, Any]:
    return row | {name: datetime.fromisoformat(row[name]) for name in moments if row[name]}
