"""How improbable each value is among normal ones with the mean and spread of those before it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import reduce
from typing import ClassVar

import numpy as np
import polars as pl
from pydantic import Field

from pydatastream.parts.scoring.detector import ColumnDetector
from pydatastream.parts.scoring.sequences import Following, V, apart, before, warm
from pydatastream.parts.scoring.sliding import MEAN, VARIANCE, sliding, tail
from pydatastream.parts.scoring.values import VALUE, Algorithm, Form

ERFC = (
    -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806,
    0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277,
)  # fmt: skip
"""Of ln(erfc(x) / t) + x^2 as a polynomial in t = 1 / (1 + x / 2), to 1.2e-7 everywhere."""

FARTHEST = 1e150
"""Farther is infinitely far."""


class GaussianTail(ColumnDetector):
    """Score how improbable a value is, were the last `window` rows normal.

    Adds `score`, -log10 of the chance that a normal value is at least as far from the mean
    (3 stands for 1 in 1,000; infinite where a constant changes; null in the first `warmup` rows
    of a key), and `expected`, the mean.
    State: the last 2 * `window` rows of each key.

    References: Ahmad, Lavin, Purdy, Agha (2017), Unsupervised real-time anomaly detection for
    streaming data, Neurocomputing 262, section 4 (windowed Gaussian); Press et al. (1992),
    Numerical Recipes, section 6.2 (erfc).
    """

    example: ClassVar[str] = "- gaussian_tail: {column: temperature, by: [device_id], window: 100}"

    window: int = Field(1000, ge=2)
    """How many rows mean and spread are of."""
    warmup: int = Field(30, ge=2)
    """How many rows of a key are learnt before one is scored."""

    def adds(self) -> Mapping[str, pl.DataType]:
        return {"expected": pl.Float64()}

    def algorithm(self, form: Form) -> Algorithm:
        distance = apart(V, before(MEAN), before(VARIANCE).sqrt())
        chance = pl.col("distance").map_batches(improbable, return_dtype=pl.Float64)
        return Following(
            form,
            learnt=sliding(self.window),
            statistics=[MEAN, VARIANCE],
            verdict=[
                [distance.alias("distance"), before(MEAN).alias("expected")],
                [warm(self.warmup, chance)],
            ],
            tail=tail(self.window),
            also=[VALUE],
        )


def improbable(distance: pl.Series) -> pl.Series:
    """-log10 of the chance of a normal value at least so many standard deviations away.

    In NumPy: Polars divides by a constant in another way when a frame has one row.

    >>> improbable(pl.Series([0.0, 1.959964, 40.0])).round(4).to_list()
    [0.0, 1.301, 349.136]
    """
    x = np.minimum(distance.to_numpy(), FARTHEST) / math.sqrt(2)
    t = 1 / (1 + x / 2)
    exponent = reduce(lambda total, factor: total * t + factor, reversed(ERFC), 0.0 * t) - x * x
    chance = (np.log(t) + exponent) / math.log(10)
    return pl.Series(np.where(x < FARTHEST / 2, np.maximum(-chance, 0.0), np.inf))
