"""Mean and variance of the last so many rows, the same bits from wherever they resume.

Rows are divided into blocks as long as the window, counted from the first row of the key. A
window is then the end of one block and the beginning of the next: two running sums, whatever
the window's length. Sums are of differences from a block's first value, so that large numbers
that differ little lose nothing.

References: van Herk (1992), A fast algorithm for local minimum and maximum filters (blocks);
Chan, Golub, LeVeque (1979), Updating Formulae and a Pairwise Algorithm for Computing Sample
Variances (joining the two parts).
"""

from __future__ import annotations

import polars as pl

from pydatastream.parts.scoring.sequences import N, Stage, V

BLOCK, ANCHOR = "__block", "__anchor"
HEAD, TAIL = "__head", "__tail"
"""Sums from the block's first row to this one, and from this one to its last."""
MEAN, VARIANCE = "mean", "variance"


def sliding(window: int) -> list[Stage]:
    """Stages that add `mean` and `variance` (of a population) of the last rows.

    They need the last 2 * window rows of the key, `tail(window)`, with their values.
    """
    position = (N - 1) % window + 1
    behind = pl.when(pl.col(BLOCK) > 0).then(window - position).otherwise(0)
    apart = V - pl.col(ANCHOR)
    sums = [
        column
        for power, value in enumerate((apart, apart**2), 1)
        for column in (
            value.cum_sum().alias(f"{HEAD}{power}"),
            value.cum_sum(reverse=True).alias(f"{TAIL}{power}"),
        )
    ]
    back = [pl.col(name).shift(window - 1) for name in (f"{TAIL}1", f"{TAIL}2")]
    return [
        Stage([((N - 1) // window).alias(BLOCK)]),
        Stage([V.first().alias(ANCHOR)], [BLOCK]),
        Stage(sums, [BLOCK]),
        Stage([*back, pl.col(ANCHOR).shift(window - 1).alias("__before")]),
        Stage(_joined(position, behind)),
    ]


def tail(window: int) -> int:
    """How many rows of a key must be remembered."""
    return 2 * window


def _joined(count: pl.Expr, behind: pl.Expr) -> list[pl.Expr]:
    """Mean and variance of the two parts together."""
    head, mean = _part(HEAD, pl.col(ANCHOR), count)
    rest, other = _part(TAIL, pl.col("__before"), behind)
    whole = count + behind
    both = head + rest + (mean - other) ** 2 * count * behind / whole
    only = behind == 0
    return [
        pl.when(only).then(mean).otherwise((mean * count + other * behind) / whole).alias(MEAN),
        pl.when(only).then(head / whole).otherwise(both / whole).clip(0).alias(VARIANCE),
    ]


def _part(sums: str, anchor: pl.Expr, count: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """The sum of squares about the mean, and the mean."""
    first, second = pl.col(f"{sums}1"), pl.col(f"{sums}2")
    return second - first**2 / count, anchor + first / count
