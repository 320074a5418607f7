"""Aggregates in two stages: what is kept of some rows, and how two such parts become one.

A piece is one or more columns of partial results. Its `merge` is associative, so rows may be cut
into batches anywhere; parts are merged in the order in which their rows arrived.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from pydatastream.parts.sql import heavy, sketches
from pydatastream.parts.sql import values as v

Exprs = tuple[pl.Expr, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """Columns that are made and merged together; `columns` are the ends of their names."""

    columns: tuple[str, ...]
    partial: Callable[..., Exprs]
    merge: Callable[..., Exprs]


def clean(value: v.Value) -> v.Value:
    """The value as aggregates take it: a NaN counts as null, and is skipped."""
    return value.like(value.expr.fill_nan(None)) if value.dtype.is_float() else value


def _one(
    name: str, partial: Callable[[pl.Expr], pl.Expr], merge: Callable[[pl.Expr], pl.Expr]
) -> Piece:
    return Piece((name,), lambda x: (partial(x),), lambda x: (merge(x),))


ROWS = Piece(("rows",), lambda: (pl.len().cast(v.INT),), lambda n: (n.sum(),))
COUNT = _one("count", lambda x: x.count().cast(v.INT), lambda n: n.sum())
SUM = _one("sum", lambda x: x.sum(), lambda x: x.sum())
MIN = _one("min", lambda x: x.min(), lambda x: x.min())
MAX = _one("max", lambda x: x.max(), lambda x: x.max())


def _moments(x: pl.Expr) -> Exprs:
    count = x.count().cast(v.INT)
    return count, x.mean(), x.var(ddof=0).fill_null(0.0) * count


def _merge_moments(count: pl.Expr, mean: pl.Expr, squares: pl.Expr) -> Exprs:
    total = count.sum()
    middle = (mean * count).sum() / total
    between = (count * (mean - middle) ** 2).sum()
    return total, pl.when(total > 0).then(middle), squares.sum() + between


MOMENTS = Piece(("n", "mean", "m2"), _moments, _merge_moments)
"""Count, mean and sum of squared differences from the mean.

References: Chan, Golub, LeVeque (1979), Updating Formulae and a Pairwise Algorithm for Computing
Sample Variances, Stanford STAN-CS-79-773.
"""


def _merge_ends(order: pl.Expr, value: pl.Expr, last: bool) -> Exprs:
    known = order.is_not_null()
    return _end(order.filter(known), value.filter(known), last)


def _end(order: pl.Expr, value: pl.Expr, last: bool) -> Exprs:
    """The value where `order` is least (or greatest); of equals the first (or last) to arrive."""
    ranked = value.sort_by(order, maintain_order=True)
    return (order.max(), ranked.last()) if last else (order.min(), ranked.first())


FIRST = Piece(
    ("time", "first"),
    lambda t, x: _merge_ends(t, x, last=False),
    lambda t, x: _merge_ends(t, x, last=False),
)
LAST = Piece(
    ("time", "last"),
    lambda t, x: _merge_ends(t, x, last=True),
    lambda t, x: _merge_ends(t, x, last=True),
)


def _greatest(order: pl.Expr, value: pl.Expr) -> Exprs:
    """The value where `order` is greatest; of equals the first to arrive."""
    known = order.is_not_null()
    ranked = value.filter(known).sort_by(order.filter(known), descending=True, maintain_order=True)
    return order.max(), ranked.first()


ARG_MIN = Piece(("least", "at"), FIRST.partial, FIRST.merge)
ARG_MAX = Piece(("most", "at"), _greatest, _greatest)


def _flat(lists: pl.Expr) -> pl.Expr:
    return lists.filter(lists.list.len() > 0).explode()


def ranked(count: int, greatest: bool) -> Piece:
    """Pairs of an order and a value, those of the `count` greatest (or least); best first."""

    def best(pairs: pl.Expr) -> pl.Expr:
        order = pairs.struct.field("order")
        return (
            pairs.sort_by(order, descending=greatest, maintain_order=True)
            .implode()
            .list.head(count)
        )

    def partial(order: pl.Expr, value: pl.Expr) -> Exprs:
        known = order.is_not_null()
        pairs = pl.struct(order.alias("order"), value.alias("value"))
        return (best(pairs.filter(known)),)

    name = f"{'most' if greatest else 'least'}{count}"
    return Piece((name,), partial, lambda pairs: (best(_flat(pairs)),))


VALUES = _one("values", lambda x: x.drop_nulls().implode(), lambda x: _flat(x).implode())
ANY = _one("any", lambda x: x.drop_nulls().first(), lambda x: x.drop_nulls().first())
LISTED = _one("list", lambda x: x.implode(), lambda x: _flat(x).implode())
DISTINCT = _one(
    "distinct", lambda x: x.drop_nulls().unique().implode(), lambda x: _flat(x).unique().implode()
)
REGISTERS = _one(
    f"hll_{sketches.HASH_MARK}",
    lambda x: sketches.registers(x).implode(),
    lambda codes: sketches.greatest_ranks(_flat(codes)).implode(),
)
BUCKETS = _one("buckets", sketches.buckets, lambda lists: sketches.added(_flat(lists)))
HEAVY = _one("heavy", heavy.counted, lambda lists: heavy.merged(_flat(lists)))
