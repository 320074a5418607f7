"""Random numbers that depend on nothing but a seed and a row's number."""

from __future__ import annotations

import hashlib
import math

import polars as pl

_ODD = 0x9E3779B97F4A7C15
_ROUNDS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


def uniform(row: pl.Expr, *seed: str | int) -> pl.Expr:
    """Numbers in [0, 1), of type Float64, for row numbers of type UInt64.

    The same row gives the same number in whatever batch it stands; other seeds give unrelated
    ones. Unsigned arithmetic wraps, as the method needs.

    References: Steele, Lea, Flood (2014), Fast Splittable Pseudorandom Number Generators,
    OOPSLA, section 5; constants of its variant 13 of the finaliser.
    """
    bits = (row + _word(_salt(*seed))) * _word(_ODD)
    for shift, factor in _ROUNDS:
        bits = (bits ^ (bits // _word(1 << shift))) * _word(factor)
    bits = bits ^ (bits // _word(1 << 31))
    return (bits // _word(1 << 11)).cast(pl.Float64) * 2.0**-53


def normal(row: pl.Expr, *seed: str | int) -> pl.Expr:
    """Standard normal numbers, by the method of Box and Muller (1958)."""
    radius = (-2.0 * (1.0 - uniform(row, *seed, "radius")).log()).sqrt()
    return radius * (uniform(row, *seed, "angle") * math.tau).cos()


def _salt(*seed: str | int) -> int:
    text = "\0".join(map(str, seed)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def _word(value: int) -> pl.Expr:
    return pl.lit(value, dtype=pl.UInt64)
