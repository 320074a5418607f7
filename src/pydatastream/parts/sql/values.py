"""Values: a Polars expression with its type, and what types go together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from pydatastream.core.times import EVENT_TIME
from pydatastream.core.types import type_name

NUMBER, STRING, BOOL, TIMESTAMP, DATE = "a number", "a string", "a boolean", "a timestamp", "a date"
DURATION, LIST, STRUCT, NULL, BINARY = "a duration", "a list", "a struct", "null", "binary"

INT: Final = pl.Int64()
FLOAT: Final = pl.Float64()
TEXT: Final = pl.String()
BOOLEAN: Final = pl.Boolean()
SPAN: Final = pl.Duration("us")
NOTHING: Final = pl.Null()


class Unfit(Exception):
    """The types do not go together; the compiler adds the place."""

    def __init__(self, what: str, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Value:
    """An expression whose type is known."""

    expr: pl.Expr
    dtype: pl.DataType
    columns: frozenset[str] = field(default_factory=frozenset)
    constant: Any = None
    """What a literal stands for; None: it is no literal (or the literal NULL)."""

    @property
    def family(self) -> str:
        """The family of the type, in words."""
        return family(self.dtype)

    def like(self, expr: pl.Expr, dtype: pl.DataType | None = None) -> Value:
        """Another expression on the same columns."""
        return Value(expr, dtype or self.dtype, self.columns)

    def __str__(self) -> str:
        return "null" if self.family is NULL else type_name(self.dtype)


def literal(value: Any, dtype: pl.DataType) -> Value:
    """A value written in the text."""
    return Value(pl.lit(value, dtype=dtype), dtype, constant=value)


def combine(expr: pl.Expr, dtype: pl.DataType, *values: Value) -> Value:
    """A value computed from others."""
    return Value(expr, dtype, frozenset().union(*(value.columns for value in values)))


_FAMILIES: list[tuple[type[pl.DataType], str]] = [
    (pl.Boolean, BOOL),
    (pl.Datetime, TIMESTAMP),
    (pl.Date, DATE),
    (pl.Duration, DURATION),
    (pl.List, LIST),
    (pl.Array, LIST),
    (pl.Struct, STRUCT),
    (pl.Null, NULL),
    (pl.Binary, BINARY),
]


def family(dtype: pl.DataType) -> str:
    """The family a type belongs to."""
    if dtype.is_numeric():
        return NUMBER
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        return STRING
    return next((word for kind, word in _FAMILIES if isinstance(dtype, kind)), type_name(dtype))


def expect(value: Value, *families: str, what: str) -> Value:
    """The value, if it is of one of the families (null fits all)."""
    if value.family is NULL or value.family in families:
        return value
    wanted = " or ".join(families)
    raise Unfit(f"{what} needs {wanted}, found {value}", _remedy(value, families))


def _remedy(value: Value, families: tuple[str, ...]) -> str | None:
    if NUMBER in families and value.family is STRING:
        if value.constant is not None:
            return f"write the number without quotes: {value.constant}"
        return "cast(... as float), or try_cast for text that may be no number"
    if STRING in families:
        return "cast(... as string)"
    if TIMESTAMP in families and value.family is NUMBER:
        return "to_timestamp(seconds), or epoch_ms(milliseconds)"
    return None


def moment(value: Value) -> Value:
    """Any timestamp as the one type of event time."""
    if not isinstance(value.dtype, pl.Datetime) or value.dtype == EVENT_TIME:
        return value
    zone = value.dtype.time_zone
    in_utc = (
        value.expr.dt.convert_time_zone("UTC") if zone else value.expr.dt.replace_time_zone("UTC")
    )
    return value.like(in_utc.cast(EVENT_TIME), EVENT_TIME)


def inner(dtype: pl.DataType) -> pl.DataType:
    """The type of a list's elements."""
    held = getattr(dtype, "inner", NOTHING)
    return held() if isinstance(held, type) else held


def common_type(dtypes: list[pl.DataType]) -> pl.DataType | None:
    """The one type that holds all of them, or None if their families differ."""
    known = [dtype for dtype in dtypes if dtype != NOTHING]
    if not known or all(dtype == known[0] for dtype in known):
        return known[0] if known else NOTHING
    families = {family(dtype) for dtype in known}
    if len(families) > 1:
        return EVENT_TIME if families == {TIMESTAMP, DATE} else None
    if families == {NUMBER}:
        return INT if all(dtype.is_integer() for dtype in known) else FLOAT
    shared = {STRING: TEXT, TIMESTAMP: EVENT_TIME, DURATION: SPAN}
    return shared.get(families.pop())


def unify(values: list[Value], what: str) -> tuple[list[pl.Expr], pl.DataType]:
    """The values as expressions of one common type."""
    dtype = common_type([value.dtype for value in values])
    if dtype is None:
        found = ", ".join(dict.fromkeys(str(value) for value in values))
        raise Unfit(f"{what} needs values of one type, found {found}", "cast(... as string)")
    return [_as(value, dtype) for value in values], dtype


def _as(value: Value, dtype: pl.DataType) -> pl.Expr:
    if value.dtype == dtype:
        return value.expr
    return moment(value).expr.cast(dtype) if dtype == EVENT_TIME else value.expr.cast(dtype)
