"""Columns in the types that a schema wants, and what does not fit."""

from __future__ import annotations

from functools import partial

import polars as pl

from pydatastream.core.types import type_name
from pydatastream.parts.decoding.texts import from_bytes, from_text, moment
from pydatastream.parts.decoding.wire import instance


def converted(rows: pl.DataFrame, schema: pl.Schema) -> tuple[pl.DataFrame, pl.Series | None]:
    """The columns of `schema` in its types, and per row why it cannot be; None: all can.

    >>> rows, errors = converted(pl.DataFrame({"n": ["1", "x"]}), pl.Schema({"n": pl.Int64()}))
    >>> rows["n"].to_list(), errors.to_list()
    ([1, None], [None, 'n: "x" is not an int'])
    """
    if rows.schema == schema:
        return rows, None
    columns = [read(rows[name], dtype) for name, dtype in schema.items()]
    found = [_errors(rows[one.name], one) for one in columns]
    errors = [one for one in found if one is not None]
    first = pl.select(pl.coalesce(errors)).to_series() if errors else None
    return pl.DataFrame(columns, schema=schema), first


def read(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Values in another type; null where a value is none of it."""
    if values.dtype == dtype:
        return values
    if isinstance(dtype, pl.List) and isinstance(values.dtype, pl.List):
        inner = instance(dtype.inner)
        each = pl.element().map_batches(partial(read, dtype=inner), return_dtype=inner)
        return values.to_frame().select(pl.col(values.name).list.eval(each)).to_series()
    if isinstance(dtype, pl.Struct) and isinstance(values.dtype, pl.Struct):
        return _read_struct(values, dtype)
    if values.dtype == pl.String:
        return from_text(values, dtype)
    if isinstance(dtype, pl.Datetime):
        return moment(values, dtype)
    if values.dtype == pl.Binary and dtype == pl.String:
        return from_bytes(values)
    cast = values.cast(dtype, strict=False)
    return _finite(values, cast) if dtype == pl.Float32 else cast


def _read_struct(values: pl.Series, dtype: pl.Struct) -> pl.Series:
    fields = [read(values.struct.field(one.name), instance(one.dtype)) for one in dtype.fields]
    whole = pl.DataFrame(fields).to_struct(values.name)
    kept = pl.when(values.is_not_null()).then(whole).otherwise(None)
    return pl.select(kept.alias(values.name)).to_series()


def _finite(values: pl.Series, cast: pl.Series) -> pl.Series:
    lost = cast.is_infinite() & ~values.is_infinite()
    return cast.set(lost.fill_null(value=False), None) if lost.any() else cast


def _errors(before: pl.Series, after: pl.Series) -> pl.Series | None:
    if before is after or _nulls(before) == _nulls(after):
        return None
    word = type_name(after.dtype)
    end = f"is not {'an' if word[0] in 'aeiou' else 'a'} {word}"
    lost = _lost(before, after)
    nested = before.dtype.is_nested()
    shown = pl.lit("a value in it") if nested else _shown(before)
    error = pl.concat_str(pl.lit(f"{before.name}: "), shown, pl.lit(f" {end}"))
    return pl.select(pl.when(lost).then(error)).to_series()


def _lost(before: pl.Series, after: pl.Series) -> pl.Series:
    if not before.dtype.is_nested():
        return before.is_not_null() & after.is_null()
    lost, spans = [False] * len(before), [(0, len(before))]
    while spans:
        start, end = spans.pop()
        if _nulls(before[start:end]) != _nulls(after[start:end]):
            middle = (start + end) // 2
            spans += [(start, middle), (middle, end)] if middle > start else []
            lost[start] = lost[start] or middle == start
    return pl.Series(lost, dtype=pl.Boolean)


def _nulls(values: pl.Series) -> int:
    """How many values are null, at any depth."""
    if isinstance(values.dtype, pl.List):
        return values.null_count() + _nulls(values.drop_nulls().explode())
    if isinstance(values.dtype, pl.Struct):
        fields = (values.struct.field(one.name) for one in values.dtype.fields)
        return values.null_count() + sum(map(_nulls, fields))
    return values.null_count()


def _shown(values: pl.Series) -> pl.Expr:
    if values.dtype == pl.Binary:
        return pl.lit("a value")
    text = pl.lit(values).cast(pl.String)
    short = pl.when(text.str.len_chars() > 80).then(text.str.head(80) + "...").otherwise(text)
    return pl.concat_str(pl.lit('"'), short, pl.lit('"')) if values.dtype == pl.String else short
