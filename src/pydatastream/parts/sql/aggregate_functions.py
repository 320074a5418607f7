"""The aggregate functions by name: their types, their pieces, and their last step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import polars as pl

from pydatastream.core.operator import EventTime
from pydatastream.parts.sql import heavy, sketches, stages
from pydatastream.parts.sql import values as v
from pydatastream.parts.sql.signatures import check_count, written
from pydatastream.parts.sql.stages import Piece, clean
from pydatastream.parts.sql.values import Unfit, Value, expect

ROWS = "__rows"
"""The partial column that counts the rows."""


@dataclass
class Pieces:
    """The partial columns that some aggregates need, each once."""

    prepare: list[pl.Expr] = field(default_factory=list)
    partial: list[pl.Expr] = field(default_factory=list)
    merge: list[pl.Expr] = field(default_factory=list)
    _known: dict[tuple[str | bytes, ...], list[pl.Expr]] = field(default_factory=dict)
    _prepared: dict[str | bytes, pl.Expr] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """The rows are always counted."""
        self._add(("rows",), [ROWS], stages.ROWS, [])

    def columns(self, piece: Piece, *args: Value) -> list[pl.Expr]:
        """The columns of a piece, made now or before."""
        texts: list[str | bytes] = [arg.expr.meta.serialize() for arg in args]
        key = (*piece.columns, *texts)
        if key not in self._known:
            number = len(self._known)
            self._add(key, [f"__a{number}_{end}" for end in piece.columns], piece, args)
        return self._known[key]

    def _add(
        self, key: tuple[str | bytes, ...], names: list[str], piece: Piece, args: Sequence[Value]
    ) -> None:
        columns = [pl.col(name) for name in names]
        given = [self._argument(arg.expr) for arg in args]
        self.partial += map(pl.Expr.alias, piece.partial(*given), names)
        self.merge += map(pl.Expr.alias, piece.merge(*columns), names)
        self._known[key] = columns

    def _argument(self, expr: pl.Expr) -> pl.Expr:
        """The argument as a column: computed once for all rows, far faster than group by group.

        One that leaves rows out is no column of the rows, and stays as it is.
        """
        if expr.meta.is_column() or not expr.meta.is_length_preserving():
            return expr
        key = expr.meta.serialize()
        if key not in self._prepared:
            name = f"__x{len(self._prepared)}"
            self.prepare.append(expr.alias(name))
            self._prepared[key] = pl.col(name)
        return self._prepared[key]


@dataclass(frozen=True)
class Call:
    """One aggregate in the text: its arguments, and what may be left out of the rows."""

    name: str
    args: list[Value]
    pieces: Pieces
    where: Value | None = None
    time: EventTime | None = None

    def arg(self, *families: str, place: int = 0) -> Value:
        """An argument of one of the families, null where the row does not count."""
        arg = self.args[place]
        if families:
            expect(arg, *families, what=self.name)
        return self.counted(clean(arg))

    def counted(self, arg: Value) -> Value:
        """The argument, null where the filter leaves the row out."""
        if self.where is None:
            return arg
        kept = pl.when(self.where.expr).then(arg.expr)
        return v.combine(kept, arg.dtype, arg, self.where)

    def take(self, piece: Piece, *args: Value) -> list[pl.Expr]:
        """The columns of a piece."""
        return self.pieces.columns(piece, *args)

    def expects(self, least: int, most: int | None = None) -> None:
        """Raise `Unfit` unless there are so many arguments."""
        check_count(self.name, self.args, least, most or least)


Aggregate = Callable[[Call], Value]


def _count(call: Call) -> Value:
    call.expects(0, 1)
    if call.args or call.where is not None:
        marked = call.arg() if call.args else call.counted(v.literal(1, v.INT))
        return Value(call.take(stages.COUNT, marked)[0], v.INT)
    return Value(pl.col(ROWS), v.INT)


def _count_distinct(call: Call) -> Value:
    call.expects(1)
    (values,) = call.take(stages.DISTINCT, call.arg())
    return Value(values.list.len().cast(v.INT), v.INT)


def _approx_count_distinct(call: Call) -> Value:
    call.expects(1)
    (codes,) = call.take(stages.REGISTERS, call.arg())
    return Value(sketches.distinct_count(codes), v.INT)


_WIDE = pl.Int128()


def _total(call: Call) -> tuple[pl.Expr, pl.Expr, pl.DataType]:
    """The sum and the count of the argument, in a type that does not overflow."""
    call.expects(1)
    arg = call.arg(v.NUMBER)
    whole = arg.dtype.is_integer()
    wide = arg.like(arg.expr.cast(_WIDE if whole else v.FLOAT))
    return (
        call.take(stages.SUM, wide)[0],
        call.take(stages.COUNT, arg)[0],
        v.INT if whole else v.FLOAT,
    )


def _sum(call: Call) -> Value:
    if call.args and call.args[0].family is v.BOOL:
        raise Unfit("sum needs a number, found bool", "count(*) FILTER (WHERE ...)")
    total, count, dtype = _total(call)
    return Value(pl.when(count > 0).then(total).cast(dtype), dtype)


def _avg(call: Call) -> Value:
    total, count, _ = _total(call)
    return Value(pl.when(count > 0).then(total.cast(v.FLOAT) / count), v.FLOAT)


_ORDERED = (v.NUMBER, v.STRING, v.BOOL, v.TIMESTAMP, v.DATE, v.DURATION)


def _extreme(piece: Piece) -> Aggregate:
    def extreme(call: Call) -> Value:
        call.expects(1)
        arg = call.arg(*_ORDERED)
        return Value(call.take(piece, arg)[0], arg.dtype)

    return extreme


def _spread(freedom: int, root: bool) -> Aggregate:
    """Variance, or its root, with `n - freedom` in the denominator; null for fewer rows."""

    def spread(call: Call) -> Value:
        call.expects(1)
        arg = call.arg(v.NUMBER)
        count, _, squares = call.take(stages.MOMENTS, arg.like(arg.expr.cast(v.FLOAT)))
        variance = pl.when(count > freedom).then(squares / (count - freedom))
        return Value(variance.sqrt() if root else variance, v.FLOAT)

    return spread


def _in_time(piece: Piece) -> Aggregate:
    def in_time(call: Call) -> Value:
        call.expects(1)
        if call.time is None:
            raise Unfit(
                f"{call.name} needs event time, and none is declared",
                "`time: <column>` at the source",
            )
        order = call.counted(Value(call.time.micros(), v.INT))
        return Value(call.take(piece, order, call.args[0])[1], call.args[0].dtype)

    return in_time


def _where_extreme(greatest: bool) -> Aggregate:
    """`arg_max(x, y)`: x where y is greatest, of equals the first to arrive.

    `arg_max(x, y, 3)`: a list of the three best, the best first.
    """

    def where_extreme(call: Call) -> Value:
        call.expects(2, 3)
        value, order = call.args[0], call.arg(*_ORDERED, place=1)
        known = order.like(pl.when(value.expr.is_not_null()).then(order.expr))
        if len(call.args) == 2:
            piece = stages.ARG_MAX if greatest else stages.ARG_MIN
            return Value(call.take(piece, known, value)[1], value.dtype)
        (best,) = call.take(stages.ranked(_few(call), greatest), known, value)
        return Value(best.list.eval(pl.element().struct.field("value")), pl.List(value.dtype))

    return where_extreme


def _few(call: Call) -> int:
    count = written(call.args[2], call.name)
    if type(count) is not int or not 0 < count <= 10_000:  # a window keeps them all
        raise Unfit(f"{call.name} needs a number from 1 to 10,000, found {count!r}")
    return count


def _all_or_any(piece: Piece) -> Aggregate:
    def all_or_any(call: Call) -> Value:
        call.expects(1)
        return Value(call.take(piece, call.arg(v.BOOL))[0], v.BOOLEAN)

    return all_or_any


def _any_value(call: Call) -> Value:
    """The first that is not null, in order of arrival."""
    call.expects(1)
    (value,) = call.take(stages.ANY, call.arg())
    return Value(value, call.args[0].dtype)


def _listed(call: Call) -> Value:
    call.expects(1)
    arg = call.args[0]
    listed = arg if call.where is None else arg.like(arg.expr.filter(call.where.expr))
    return Value(call.take(stages.LISTED, listed)[0], pl.List(arg.dtype))


def _share(call: Call) -> float:
    share = written(call.args[1], call.name)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise Unfit(f"{call.name} needs a share between 0 and 1, found {share!r}")
    return float(share)


def _quantile_of(call: Call, share: float) -> Value:
    arg = call.arg(v.NUMBER)
    (values,) = call.take(stages.VALUES, arg.like(arg.expr.cast(v.FLOAT)))
    return Value(values.list.agg(pl.element().quantile(share, "linear")), v.FLOAT)


def _quantile(call: Call) -> Value:
    call.expects(2)
    return _quantile_of(call, _share(call))


def _median(call: Call) -> Value:
    call.expects(1)
    return _quantile_of(call, 0.5)


def _approx_quantile(call: Call) -> Value:
    call.expects(2)
    arg = call.arg(v.NUMBER)
    finite = pl.when(arg.expr.cast(v.FLOAT).is_finite()).then(arg.expr.cast(v.FLOAT))
    (sketch,) = call.take(stages.BUCKETS, arg.like(finite))
    return Value(sketches.quantile(sketch, _share(call)), v.FLOAT)


def _approx_top(call: Call) -> Value:
    call.expects(2)
    many, arg = heavy.places(written(call.args[1], call.name)), call.arg(*_ORDERED)
    return Value(heavy.most(call.take(stages.HEAVY, arg)[0], many), pl.List(arg.dtype))


AGGREGATES: dict[str, Aggregate] = {
    "count": _count,
    "sum": _sum,
    **dict.fromkeys(("avg", "mean"), _avg),
    "min": _extreme(stages.MIN),
    "max": _extreme(stages.MAX),
    **dict.fromkeys(("stddev", "stddev_samp"), _spread(1, root=True)),
    "stddev_pop": _spread(0, root=True),
    **dict.fromkeys(("variance", "var", "var_samp"), _spread(1, root=False)),
    "var_pop": _spread(0, root=False),
    "first": _in_time(stages.FIRST),
    "last": _in_time(stages.LAST),
    "count_distinct": _count_distinct,
    "approx_count_distinct": _approx_count_distinct,
    **dict.fromkeys(("quantile", "quantile_cont", "percentile_cont"), _quantile),
    "median": _median,
    "approx_quantile": _approx_quantile,
    "approx_top": _approx_top,
    "arg_max": _where_extreme(greatest=True),
    "arg_min": _where_extreme(greatest=False),
    "any_value": _any_value,
    "bool_and": _all_or_any(stages.MIN),
    "bool_or": _all_or_any(stages.MAX),
    **dict.fromkeys(("list", "array_agg"), _listed),
}
