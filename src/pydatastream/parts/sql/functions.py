"""The functions of one row, by name."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from pydatastream.core.types import type_name
from pydatastream.parts.sql import values as v
from pydatastream.parts.sql.operators import arithmetic, compare, power
from pydatastream.parts.sql.signatures import Call, Function, check_count, pair
from pydatastream.parts.sql.text_functions import TEXT_FUNCTIONS
from pydatastream.parts.sql.time_functions import TIME_FUNCTIONS
from pydatastream.parts.sql.values import Unfit, Value, combine, expect


def _round(number: pl.Expr, digits: int = 0) -> pl.Expr:
    if not 0 <= digits <= 20:
        raise Unfit("round needs 0 to 20 digits")
    return number.round(digits, mode="half_away_from_zero")


def _coalesce(name: str, args: list[Value]) -> Value:
    check_count(name, args, 1, None)
    exprs, dtype = v.unify(args, name)
    return combine(pl.coalesce(exprs), dtype, *args)


def _extreme(take: Callable[..., pl.Expr]) -> Callable[[str, list[Value]], Value]:
    def extreme(name: str, args: list[Value]) -> Value:
        check_count(name, args, 2, None)
        exprs, dtype = v.unify(args, name)
        return combine(take(*exprs), dtype, *args)

    return extreme


def _nullif(name: str, args: list[Value]) -> Value:
    check_count(name, args, 2, 2)
    same = compare("=", *args)
    return same.like(
        pl.when(same.expr.fill_null(False)).then(None).otherwise(args[0].expr), args[0].dtype
    )


def _length(name: str, args: list[Value]) -> Value:
    check_count(name, args, 1, 1)
    arg = expect(args[0], v.STRING, v.LIST, what=name)
    size = arg.expr.list.len() if arg.family is v.LIST else arg.expr.cast(v.TEXT).str.len_chars()
    return arg.like(size.cast(v.INT), v.INT)


_CONTAINS_TEXT = Function("ss", v.BOOLEAN, lambda s, p: s.str.contains(p, literal=True))


def _contains(name: str, args: list[Value]) -> Value:
    """Of a list: an element; of a string: a part of it."""
    check_count(name, args, 2, 2)
    whole, part = args
    if whole.family is not v.LIST:
        return _CONTAINS_TEXT(name, args)
    held = v.inner(whole.dtype)
    if v.common_type([held, part.dtype]) is None:
        raise Unfit(f"{name}: a list of {type_name(held)} cannot hold {part}")
    return combine(whole.expr.list.contains(part.expr), v.BOOLEAN, whole, part)


def element(value: Value, index: Value) -> Value:
    """`list[i]`, counted from 1, from the end if negative; null where there is none."""
    expect(value, v.LIST, what="[...]")
    if not index.dtype.is_integer():
        raise Unfit(f"[...] needs a whole number, found {index}")
    at = index.expr.cast(v.INT)
    place = pl.when(at > 0).then(at - 1).when(at < 0).then(at)
    return combine(value.expr.list.get(place, null_on_oob=True), v.inner(value.dtype), value, index)


def _element(name: str, args: list[Value]) -> Value:
    check_count(name, args, 2, 2)
    return element(*args)


def _abs(name: str, args: list[Value]) -> Value:
    check_count(name, args, 1, 1)
    arg = expect(args[0], v.NUMBER, what=name)
    if arg.dtype.is_integer():
        return arg.like(arg.expr.cast(pl.Int128).abs().cast(v.INT), v.INT)
    return arg.like(arg.expr.abs())


FUNCTIONS: dict[str, Call] = {
    **TEXT_FUNCTIONS,
    **TIME_FUNCTIONS,
    "contains": _contains,
    "list_contains": _contains,
    "length": _length,
    "len": _length,
    "list_element": _element,
    "abs": _abs,
    "round": Function("nI?", None, _round),
    "floor": Function("n", None, lambda n: n.floor()),
    "ceil": Function("n", None, lambda n: n.ceil()),
    "sqrt": Function("f", v.FLOAT, lambda n: n.sqrt()),
    "ln": Function("f", v.FLOAT, lambda n: n.log()),
    "log10": Function("f", v.FLOAT, lambda n: n.log10()),
    "log2": Function("f", v.FLOAT, lambda n: n.log(2)),
    "exp": Function("f", v.FLOAT, lambda n: n.exp()),
    "sin": Function("f", v.FLOAT, lambda n: n.sin()),
    "cos": Function("f", v.FLOAT, lambda n: n.cos()),
    "tan": Function("f", v.FLOAT, lambda n: n.tan()),
    "sign": Function("n", v.INT, lambda n: n.sign().fill_nan(0).cast(v.INT)),
    "isnan": Function("f", v.BOOLEAN, lambda n: n.is_nan()),
    "isfinite": Function("f", v.BOOLEAN, lambda n: n.is_finite()),
    "power": pair(power),
    "mod": pair(lambda a, b: arithmetic("%", a, b)),
    "coalesce": _coalesce,
    "ifnull": _coalesce,
    "nullif": _nullif,
    "greatest": _extreme(pl.max_horizontal),
    "least": _extreme(pl.min_horizontal),
}
FUNCTIONS |= {
    "ceiling": FUNCTIONS["ceil"],
    "pow": FUNCTIONS["power"],
    "substring": FUNCTIONS["substr"],
    "strlen": FUNCTIONS["length"],
    "list_extract": FUNCTIONS["list_element"],
    "array_length": FUNCTIONS["len"],
    "regexp_like": FUNCTIONS["regexp_matches"],
}

AGGREGATE_NAMES = frozenset(
    (
        *("any_value", "approx_count_distinct", "approx_quantile"),
        *("approx_top", "arg_max", "arg_min"),
        *("array_agg", "avg", "bool_and", "bool_or", "count", "count_distinct", "first", "last"),
        *("list", "max", "mean", "median", "min", "percentile_cont", "quantile", "quantile_cont"),
        *("stddev", "stddev_pop", "stddev_samp", "sum", "var", "var_pop", "var_samp", "variance"),
    )
)
"""Names kept for aggregates, which are no functions of one row."""
