"""The most frequent values, counted in little memory: heavy hitters, mergeable.

At most COUNTERS values of a group are counted. When there are more, the count of the first that
has no place is taken off all of them, and those that come to nothing are forgotten. A count is then
too small by at most n / (COUNTERS + 1) of n values, so that whatever comes more often than that
is there. Groups with no more different values than counters are counted exactly.

References: Metwally, Agrawal, El Abbadi (2005), Efficient Computation of Frequent and Top-k
Elements in Data Streams, ICDT (Space-Saving); Agarwal, Cormode, Huang, Phillips, Wei, Yi (2012),
Mergeable Summaries, PODS, section 2: merged so, its counters and those of Misra and Gries (1982)
are the same but for a constant.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from pydatastream.parts.sql.values import Unfit

COUNTERS = 1_000
"""So many values are counted: an error of at most 0.1 % of all."""

LENGTH, VALUE = "len", "value"


def counted(values: pl.Expr) -> pl.Expr:
    """The counters of values, as one list."""
    return _kept(values.drop_nulls().sort().rle())


def merged(counters: pl.Expr) -> pl.Expr:
    """Counters of equal values added up, as one list."""
    keys, counts = counters.struct.field(VALUE), counters.struct.field(LENGTH).cast(pl.Int64)
    ordered = keys.sort()
    last = (ordered != ordered.shift(-1)).fill_null(True)
    until = counts.sort_by(keys).cum_sum().filter(last)
    each = until - until.shift(1).fill_null(0)
    return _kept(pl.struct(each.alias(LENGTH), ordered.filter(last).alias(VALUE)))


def most(counters: pl.Expr, many: int) -> pl.Expr:
    """The most frequent values of a list of counters; of equals the least first."""
    count, value = pl.element().struct.field(LENGTH), pl.element().struct.field(VALUE)
    return counters.list.eval(value.sort_by(-count, value).head(many))


def places(many: Any) -> int:
    """How many values are asked for; `Unfit` for more than a tenth of the counters."""
    most = COUNTERS // 10
    if type(many) is not int or not 0 < many <= most:
        raise Unfit(f"approx_top needs a number of values from 1 to {most}, found {many!r}")
    return many


def _kept(counters: pl.Expr) -> pl.Expr:
    count = counters.struct.field(LENGTH).cast(pl.Int64)
    taken = count.sort(descending=True).slice(COUNTERS, 1).sum()
    left = count - taken
    kept = pl.struct(left.alias(LENGTH), counters.struct.field(VALUE).alias(VALUE))
    return kept.filter(left > 0).implode()
