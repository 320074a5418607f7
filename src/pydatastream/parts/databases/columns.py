"""Columns as databases take them, and frames of the rows that they give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from pydatastream.core.batch import no_dead
from pydatastream.core.dead import dead_rows
from pydatastream.core.format import Decoded
from pydatastream.parts.decoding.casting import converted
from pydatastream.parts.decoding.wire import written

Stored = Callable[[pl.DataType], pl.DataType]


def json_text(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """A column of lists or structs as JSON text.

    >>> frame = pl.DataFrame({"tags": [["a"], None]})
    >>> frame.select(json_text(pl.col("tags"), frame.schema["tags"]))["tags"].to_list()
    ['["a"]', None]
    """
    framed = pl.struct(written(column, dtype).alias("v")).struct.json_encode()
    text = framed.str.strip_prefix('{"v":').str.strip_suffix("}")
    return pl.when(column.is_not_null()).then(text).alias(column.meta.output_name())


def read(rows: Sequence[tuple[Any, ...]], schema: pl.Schema, stored: Stored) -> Decoded:
    """Rows of a database as a frame; those that do not fit the schema are dead letters."""
    raw = _frame(rows, schema, stored)
    found, errors = converted(raw, schema)
    if errors is None or not errors.null_count() < len(errors):
        return Decoded(found, no_dead())
    bad = errors.is_not_null()
    each = [dead_rows(raw[n : n + 1], str(errors[n])) for n in bad.arg_true().to_list()]
    return Decoded(found.filter(~bad), pl.concat(each))


def _frame(rows: Sequence[tuple[Any, ...]], schema: pl.Schema, stored: Stored) -> pl.DataFrame:
    kinds = {name: stored(dtype) for name, dtype in schema.items()}
    try:
        return pl.DataFrame(rows, schema=kinds, orient="row", strict=True)
    except (PolarsError, TypeError, ValueError, OverflowError):
        columns = zip(*rows, strict=True)
        return pl.DataFrame(
            [
                _column(name, values, kinds[name])
                for name, values in zip(kinds, columns, strict=True)
            ]
        )


def _column(name: str, values: Sequence[Any], dtype: pl.DataType) -> pl.Series:
    """Values in the expected type, else in that which they have, else as text."""
    for kind in (dtype, None):
        try:
            return pl.Series(name, values, kind, strict=True)
        except (PolarsError, TypeError, ValueError, OverflowError):
            continue
    return pl.Series(name, [None if one is None else _text(one) for one in values], pl.String)


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
