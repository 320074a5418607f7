"""Arithmetic, comparison and logic, with SQL's rules for null.

Integer `+ - *` never wraps: an overflow is an error of that row. `/` always gives a float (x / 0
is infinite or NaN); `//` and `%` round towards zero, and give null for a divisor of 0.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import reduce

import polars as pl

from pydatastream.core.times import EVENT_TIME
from pydatastream.parts.sql import values as v
from pydatastream.parts.sql.casts import read_time
from pydatastream.parts.sql.values import Unfit, Value, combine, expect

_WIDE = pl.Int128()
Binary = Callable[[pl.Expr, pl.Expr], pl.Expr]

_ARITHMETIC: dict[str, Binary] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_COMPARISON: dict[str, Binary] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "is not distinct from": lambda left, right: left.eq_missing(right),
    "is distinct from": lambda left, right: left.ne_missing(right),
}


def arithmetic(symbol: str, left: Value, right: Value) -> Value:
    """`left symbol right` for + - * / // % and **."""
    if {v.TIMESTAMP, v.DATE, v.DURATION} & {left.family, right.family}:
        return _time_arithmetic(symbol, left, right)
    for side in (left, right):
        if side.family is v.STRING and symbol == "+":
            raise Unfit(f"'+' needs a number, found {side}", "|| joins strings; cast makes numbers")
        expect(side, v.NUMBER, what=repr(symbol))
    return _numbers(symbol, left, right)


def _numbers(symbol: str, left: Value, right: Value) -> Value:
    if symbol == "**":
        return power(left, right)
    whole = all(side.dtype.is_integer() or side.family is v.NULL for side in (left, right))
    if symbol == "%":
        return combine(_remainder(left, right, whole), v.INT if whole else v.FLOAT, left, right)
    if symbol == "//":
        return combine(_quotient(left, right, whole), v.INT if whole else v.FLOAT, left, right)
    run = _ARITHMETIC[symbol]
    if whole and symbol != "/":
        checked = run(left.expr.cast(_WIDE), right.expr.cast(_WIDE)).cast(v.INT)
        return combine(checked, v.INT, left, right)
    return combine(run(left.expr.cast(v.FLOAT), right.expr.cast(v.FLOAT)), v.FLOAT, left, right)


def _quotient(left: Value, right: Value, whole: bool) -> pl.Expr:
    """Towards zero, as SQL does; Polars rounds down."""
    if not whole:
        quotient = left.expr.cast(v.FLOAT) / right.expr.cast(v.FLOAT)
        return quotient.truncate()
    a, b = left.expr.cast(_WIDE), right.expr.cast(_WIDE)
    return ((a.abs() // b.abs()) * a.sign() * b.sign()).cast(v.INT)


def _remainder(left: Value, right: Value, whole: bool) -> pl.Expr:
    """With the sign of the dividend, as in SQL; Polars gives that of the divisor."""
    kind = _WIDE if whole else v.FLOAT
    a, b = left.expr.cast(kind), right.expr.cast(kind)
    rest = (a.abs() % b.abs()) * a.sign()
    return rest.cast(v.INT if whole else v.FLOAT)


def power(base: Value, exponent: Value) -> Value:
    """`base ** exponent` as a float."""
    expect(base, v.NUMBER, what="power")
    expect(exponent, v.NUMBER, what="power")
    if base.constant is not None and exponent.constant is not None:
        _check_power(float(base.constant), float(exponent.constant))
    return combine(
        base.expr.cast(v.FLOAT).pow(exponent.expr.cast(v.FLOAT)), v.FLOAT, base, exponent
    )


def _check_power(base: float, exponent: float) -> None:
    try:
        finite = math.isfinite(math.pow(base, exponent))
    except (OverflowError, ValueError):
        finite = False
    if not finite:
        raise Unfit(f"{base:g} ** {exponent:g} is not a finite number")


def _time_arithmetic(symbol: str, left: Value, right: Value) -> Value:
    left, right = v.moment(left), v.moment(right)
    a, b = left.family, right.family
    points = (v.TIMESTAMP, v.DATE)
    if symbol == "-" and a in points and b in points:
        both = [side.expr.cast(EVENT_TIME) for side in (left, right)]
        return combine(both[0] - both[1], v.SPAN, left, right)
    if symbol in "+-" and a in points and b is v.DURATION:
        return combine(_run(symbol, left.expr.cast(EVENT_TIME), right), EVENT_TIME, left, right)
    if symbol == "+" and a is v.DURATION and b in points:
        return arithmetic("+", right, left)
    return _spans(symbol, left, right)


def _spans(symbol: str, left: Value, right: Value) -> Value:
    a, b = left.family, right.family
    if symbol in "+-" and a == b == v.DURATION:
        return combine(_run(symbol, left.expr.cast(v.SPAN), right), v.SPAN, left, right)
    if symbol == "/" and a == b == v.DURATION:
        ratio = left.expr.cast(v.SPAN).to_physical() / right.expr.cast(v.SPAN).to_physical()
        return combine(ratio, v.FLOAT, left, right)
    if symbol in "*/" and a is v.DURATION and b is v.NUMBER:
        return combine(_scaled(symbol, left.expr, right.expr), v.SPAN, left, right)
    if symbol == "*" and a is v.NUMBER and b is v.DURATION:
        return _spans("*", right, left)
    raise Unfit(f"{symbol!r} cannot take {left} and {right}", "interval '5 minutes' is a duration")


def _run(symbol: str, left: pl.Expr, right: Value) -> pl.Expr:
    return _ARITHMETIC[symbol](left, right.expr.cast(v.SPAN))


def _scaled(symbol: str, span: pl.Expr, factor: pl.Expr) -> pl.Expr:
    micros = span.cast(v.SPAN).to_physical().cast(v.FLOAT)
    return _ARITHMETIC[symbol](micros, factor).round().cast(v.INT).cast(v.SPAN)


def negate(value: Value) -> Value:
    """`-value`."""
    if value.constant is not None and value.family is v.NUMBER:
        return v.literal(-value.constant, value.dtype)
    if value.family is v.DURATION:
        return value.like(-value.expr)
    expect(value, v.NUMBER, what="'-'")
    return (
        arithmetic("-", v.literal(0, v.INT), value)
        if value.dtype.is_integer()
        else value.like(-value.expr)
    )


def compare(symbol: str, left: Value, right: Value) -> Value:
    """`left symbol right`; text next to a time is read as a time."""
    left, right = comparable(left, right)
    if left.family in (v.STRUCT, v.LIST) and symbol not in ("=", "<>"):
        raise Unfit(f"{symbol!r} cannot order {left}")
    return combine(_COMPARISON[symbol](left.expr, right.expr), v.BOOLEAN, left, right)


def comparable(left: Value, right: Value) -> tuple[Value, Value]:
    """Both sides in types that Polars compares without loss, or `Unfit`."""
    left, right = _beside(left, right), _beside(right, left)
    dtype = v.common_type([left.dtype, right.dtype])
    if dtype is None:
        raise Unfit(f"cannot compare {left} with {right}", _compare_hint(left, right))
    if left.dtype == right.dtype or v.NULL in (left.family, right.family):
        return left, right
    if left.family is v.NUMBER:
        return _numbers_alike(left, right)
    return left.like(left.expr.cast(dtype), dtype), right.like(right.expr.cast(dtype), dtype)


def _numbers_alike(left: Value, right: Value) -> tuple[Value, Value]:
    """UInt64 next to a signed integer would become a float; Float32 next to 0.1 too wide."""
    if left.dtype.is_integer() and right.dtype.is_integer():
        if pl.UInt64() in (left.dtype, right.dtype):
            return left.like(left.expr.cast(_WIDE), _WIDE), right.like(
                right.expr.cast(_WIDE), _WIDE
            )
        return left, right
    return _narrowed(left, right.dtype), _narrowed(right, left.dtype)


def _narrowed(value: Value, other: pl.DataType) -> Value:
    if value.constant is not None and other == pl.Float32():
        return v.literal(float(value.constant), pl.Float32())
    return value


def _beside(value: Value, other: Value) -> Value:
    if value.family is v.STRING and isinstance(value.constant, str):
        if other.family in (v.TIMESTAMP, v.DATE):
            return read_time(value.constant)
        return value
    return v.moment(value)


def _compare_hint(left: Value, right: Value) -> str:
    for side, other in ((left, right), (right, left)):
        if side.family is v.STRING and other.family is v.NUMBER:
            if side.constant is not None:
                return f"write the number without quotes: {side.constant}"
            return "cast(... as float) on the string, or quotes around the number"
    return "cast(... as ...) one side to the type of the other"


def within(value: Value, choices: list[Value], negated: bool = False) -> Value:
    """`value IN (choices)`: null if nothing matches and a choice is null."""
    known = [choice for choice in choices if choice.family is not v.NULL]
    pairs = [comparable(value, choice) for choice in known]
    if pairs and all(right.constant is not None for _, right in pairs):
        found = _in_constants(pairs)
    else:
        found = pl.any_horizontal(
            [left.expr == right.expr for left, right in pairs] or [pl.lit(False)]
        )
    if len(known) < len(choices):
        found = found | pl.lit(None, v.BOOLEAN)
    return combine(~found if negated else found, v.BOOLEAN, value, *choices)


def _in_constants(pairs: list[tuple[Value, Value]]) -> pl.Expr:
    dtype = v.common_type([right.dtype for _, right in pairs])
    left = pairs[0][0]
    both = v.common_type([left.dtype, dtype or left.dtype]) or left.dtype
    listed = pl.Series([right.constant for _, right in pairs], dtype=both)
    return left.expr.cast(both).is_in(listed.implode())


def logic(symbol: str, sides: list[Value]) -> Value:
    """`a AND b AND ...`, or OR: null where the known sides do not decide."""
    for side in sides:
        condition_only(side, symbol)
    conditions = [side.expr.cast(v.BOOLEAN) for side in sides]
    join = operator.and_ if symbol == "AND" else operator.or_
    return combine(reduce(join, conditions), v.BOOLEAN, *sides)


def condition_only(value: Value, what: str) -> Value:
    """The value, if it is true or false."""
    if value.family is v.NUMBER:
        raise Unfit(f"{what} needs a boolean, found {value}", "compare it: x <> 0")
    return expect(value, v.BOOL, what=what)


def invert(value: Value) -> Value:
    """`NOT value`."""
    condition_only(value, "NOT")
    return value.like(~value.expr.cast(v.BOOLEAN), v.BOOLEAN)


def join_text(left: Value, right: Value) -> Value:
    """`left || right`: null if either is null."""
    for side in (left, right):
        expect(side, v.STRING, what="'||'")
    return combine(left.expr.cast(v.TEXT) + right.expr.cast(v.TEXT), v.TEXT, left, right)
