"""Rows as PostgreSQL's COPY takes them."""

from __future__ import annotations

import polars as pl

from pydatastream.core.errors import RowError
from pydatastream.parts.databases.columns import json_text
from pydatastream.parts.decoding.wire import written


def refuse_zeros(rows: pl.DataFrame) -> None:
    """Raise `RowError` naming the rows with text that PostgreSQL cannot store."""
    texts = [name for name, dtype in rows.schema.items() if dtype == pl.String]
    for name in texts:
        bad = rows[name].str.contains("\0", literal=True).fill_null(value=False)
        if bad.any():
            what = f"{name}: PostgreSQL cannot store text with a NUL character"
            raise RowError(what, rows=bad.arg_true().to_list())


def copied(rows: pl.DataFrame) -> str:
    """Rows as COPY reads them: null is nothing, an empty text is quoted."""
    columns = [_text(pl.col(name), dtype) for name, dtype in rows.schema.items()]
    return rows.select(columns).write_csv(include_header=False)


def _text(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if isinstance(dtype, pl.Binary):
        return pl.concat_str(pl.lit("\\x"), column.bin.encode("hex")).alias(
            column.meta.output_name()
        )
    return json_text(column, dtype) if dtype.is_nested() else written(column, dtype)
