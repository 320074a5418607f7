"""Expressions: SQL text (or `pl.Expr`), checked against a schema before anything runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import polars as pl
import sqlglot
from polars.exceptions import ColumnNotFoundError, PolarsError
from pydantic import PlainSerializer, PlainValidator, WithJsonSchema
from sqlglot import exp
from sqlglot.errors import SqlglotError

from pydatastream.core.errors import ConfigError, ExpressionError, NotPortable, SchemaError, nearest
from pydatastream.core.times import EVENT_TIME
from pydatastream.parts.sql import values as v
from pydatastream.parts.sql.compiler import Compiler, scope_of, type_in
from pydatastream.parts.sql.grammar import Portable, parse
from pydatastream.parts.sql.values import inner


@dataclass(frozen=True, slots=True)
class Typed:
    """An expression, the type it gives, and the columns it reads."""

    expr: pl.Expr
    dtype: pl.DataType
    columns: frozenset[str]


def expression(text: str | pl.Expr, schema: pl.Schema) -> Typed:
    """The expression ready to run on rows of a schema.

    Raises `SchemaError` for a column that is not there, `ExpressionError` for all else.

    >>> typed = expression("n / 2 + 1", pl.Schema({"n": pl.Int64}))
    >>> str(typed.dtype), sorted(typed.columns)
    ('Float64', ['n'])
    """
    if isinstance(text, pl.Expr):
        return Typed(text, _dtype(text, schema), columns_of(text))
    query = parse(text)
    value = Compiler(query, scope_of(schema)).value(query.tree)
    _dtype(value.expr, schema)
    return Typed(value.expr, value.dtype, value.columns)


def condition(text: str | pl.Expr, schema: pl.Schema) -> pl.Expr:
    """A boolean expression; where it is null a row does not pass."""
    typed = expression(text, schema)
    if typed.dtype not in (v.BOOLEAN, v.NOTHING):
        found = v.Value(typed.expr, typed.dtype)
        raise ExpressionError(
            f"a condition must be true or false, {str(text)!r} gives {found}",
            hint=f"compare it with something: {text} > 0" if found.family is v.NUMBER else None,
        )
    return typed.expr.cast(v.BOOLEAN) if typed.dtype == v.NOTHING else typed.expr


def columns_of(text: str | pl.Expr) -> frozenset[str]:
    """The columns an expression reads.

    >>> sorted(columns_of("a + b.c > 1"))
    ['a', 'b']
    """
    if isinstance(text, pl.Expr):
        return frozenset(text.meta.root_names())
    columns = parse(text).tree.find_all(exp.Column)
    return frozenset(
        one.parts[0].name for one in columns if one.find_ancestor(exp.DataType) is None
    )


def to_dialect(text: str, dialect: str) -> str:
    """The expression in the SQL of another engine: "spark", "flink", "duckdb".

    Raises `NotPortable` if that engine has no form for it.
    """
    parse(text)
    tree = sqlglot.parse_one(text, read=Portable)
    for cast in tree.find_all(exp.Cast):
        cast.set("to", exp.DataType.build(_standard(type_in(cast)), dialect="duckdb"))
    try:
        return tree.sql(dialect=dialect, unsupported_level=sqlglot.ErrorLevel.RAISE)
    except (SqlglotError, ValueError) as error:
        raise NotPortable(f"{text!r} has no form in {dialect}: {error}") from None


_STANDARD = {
    v.TEXT: "TEXT",
    v.BOOLEAN: "BOOLEAN",
    v.FLOAT: "DOUBLE",
    pl.Float32(): "REAL",
    pl.Int8(): "TINYINT",
    pl.Int16(): "SMALLINT",
    pl.Int32(): "INT",
    pl.Int64(): "BIGINT",
    pl.UInt8(): "UTINYINT",
    pl.UInt16(): "USMALLINT",
    pl.UInt32(): "UINTEGER",
    pl.UInt64(): "UBIGINT",
    pl.Date(): "DATE",
    pl.Binary(): "BLOB",
    pl.Decimal(38, 9): "DECIMAL(38, 9)",
    EVENT_TIME: "TIMESTAMPTZ",
    v.SPAN: "INTERVAL",
}
"""Our types in DuckDB's words; our timestamps are moments, so they carry a zone."""


def _standard(dtype: pl.DataType) -> str:
    return f"{_standard(inner(dtype))}[]" if isinstance(dtype, pl.List) else _STANDARD[dtype]


def _dtype(expr: pl.Expr, schema: pl.Schema) -> pl.DataType:
    """The type that Polars itself gives the expression, tried on no rows."""
    try:
        result = pl.DataFrame(schema=schema).select(expr).schema
    except ColumnNotFoundError as error:
        raise _no_column(expr, schema, error) from None
    except PolarsError as error:
        raise ExpressionError(f"the expression does not fit: {error}") from None
    if len(result) != 1:
        raise ExpressionError(f"the expression gives {len(result)} columns, one is needed")
    return result.dtypes()[0]


def _no_column(expr: pl.Expr, schema: pl.Schema, error: Exception) -> SchemaError:
    missing = sorted(set(expr.meta.root_names()) - set(schema))
    if not missing:
        return SchemaError(str(error))
    return SchemaError(f"no column {missing[0]!r}", hint=nearest(missing[0], schema))


def _parsed(text: Any) -> Any:
    if isinstance(text, pl.Expr):
        return text
    if not isinstance(text, str | int | float | bool):
        found = "nothing" if text is None else f"{text!r}"[:60]
        raise ValueError(f"expected SQL text, found {found}")
    words = str(text).lower() if isinstance(text, bool) else str(text)
    try:
        parse(words)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return words


Sql = Annotated[
    str | pl.Expr,
    PlainValidator(_parsed),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]
"""SQL text in a description, parsed when it is read; in Python a `pl.Expr` will do."""
