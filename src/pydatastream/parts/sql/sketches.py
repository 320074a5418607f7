"""Sketches: distinct counts and quantiles in little memory, mergeable, in plain Polars.

All functions work inside one group of a `group_by().agg()`; a sketch is a short list per group.
"""

from __future__ import annotations

import math

import polars as pl

PRECISION = 12
"""Bits that choose a register: 4,096 registers, relative standard error 1.04 / 64 = 1.6 %."""

_REGISTERS = 1 << PRECISION
_RANK_BITS = 6
_SEED = 0x9E3779B97F4A7C15

HASH_MARK = f"{pl.Series(['pds']).hash(_SEED)[0] & 0xFFFF:04x}"
"""Names the hash function: Polars may change its own in another version, and sketches made with
different ones must not be merged. A state written under another mark has another column."""


def registers(values: pl.Expr) -> pl.Expr:
    """The registers that values set, as codes: register * 64 + rank.

    References: Flajolet, Fusy, Gandouet, Meunier (2007), HyperLogLog, AofA, fig. 3; with a
    64-bit hash, so that its correction for large counts is not needed.
    """
    hashed = values.hash(_SEED)
    register = hashed // (1 << (64 - PRECISION))
    rest = hashed % (1 << (64 - PRECISION))
    rank = rest.bitwise_leading_zeros().cast(pl.UInt64) - PRECISION + 1
    code = (register * (1 << _RANK_BITS) + rank).cast(pl.UInt32)
    return pl.when(values.is_not_null()).then(code).drop_nulls().unique().sort()


def greatest_ranks(codes: pl.Expr) -> pl.Expr:
    """Of each register only the greatest rank: at most 4,096 codes."""
    ordered = codes.unique().sort()
    register = ordered // (1 << _RANK_BITS)
    return ordered.filter((register != register.shift(-1)).fill_null(True))


def distinct_count(codes: pl.Expr) -> pl.Expr:
    """About how many different values made the codes of a list column, as an integer."""
    codes = codes.list.eval(greatest_ranks(pl.element()))
    empty = _REGISTERS - codes.list.len().cast(pl.Float64)
    ranks = pl.element() % (1 << _RANK_BITS)
    harmonic = codes.list.eval(2.0 ** -ranks.cast(pl.Float64)).list.sum() + empty
    raw = 0.7213 / (1 + 1.079 / _REGISTERS) * _REGISTERS**2 / harmonic
    linear = _REGISTERS * (_REGISTERS / empty).log()
    small = (raw <= 2.5 * _REGISTERS) & (empty > 0)
    return pl.when(small).then(linear).otherwise(raw).round().cast(pl.Int64)


ACCURACY = 0.01
"""Relative error of `approx_quantile`."""

_GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
_ZERO = 1 << 20
"""Added to every bucket, so that the buckets of negative numbers are the negative keys. More than
the 37,000 buckets that the range of a 64-bit float needs."""


BUCKETS = pl.List(pl.Struct({"len": pl.Int64(), "value": pl.Int32()}))
"""A sketch of quantiles: buckets in the order of their values, and how many values are in each."""


def buckets(values: pl.Expr) -> pl.Expr:
    """The buckets of values, as one list.

    References: Masson, Rim, Lee (2019), DDSketch, VLDB 12(12), section 2. Buckets are not
    collapsed: there are at most 115 for each power of ten between the values.
    """
    bucket = (values.abs().log() / math.log(_GAMMA)).ceil()
    signed = pl.when(values == 0).then(0.0).otherwise((bucket + _ZERO) * values.sign())
    return signed.cast(pl.Int32).drop_nulls().sort().rle().implode().cast(BUCKETS)


def added(sketched: pl.Expr) -> pl.Expr:
    """Counts of equal buckets added up, as one list."""
    keys, counts = sketched.struct.field("value"), sketched.struct.field("len")
    ordered = keys.sort()
    last = (ordered != ordered.shift(-1)).fill_null(True)
    until = counts.sort_by(keys).cum_sum().filter(last)
    count = until - until.shift(1).fill_null(0)
    return pl.struct(len=count, value=ordered.filter(last)).implode().cast(BUCKETS)


def quantile(sketch: pl.Expr, share: float) -> pl.Expr:
    """The value below which `share` of all lie, from a list column; null if there are none."""
    count = pl.element().struct.field("len")
    below = sketch.list.agg((count.cum_sum() <= share * (count.sum() - 1)).sum())
    found = sketch.list.get(below, null_on_oob=True)
    key = found.struct.field("value").cast(pl.Float64)
    size = _GAMMA ** (key.abs() - _ZERO) * 2 / (_GAMMA + 1)
    return pl.when(key == 0).then(0.0).otherwise(size * key.sign())
