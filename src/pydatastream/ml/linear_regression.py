"""What a number is expected to be, learnt from rows of which it is known."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar

import numpy as np
import polars as pl

from pydatastream.parts.scoring.descent import WILD, Descent
from pydatastream.parts.scoring.learner import Learner
from pydatastream.parts.scoring.models import Array, PerKey
from pydatastream.parts.scoring.values import Algorithm, Form

SURPRISE = 3.0
"""Errors of more deviations of the target than this pull no harder (Huber's loss)."""


class LinearRegression(Learner):
    """Predict a number from others, then learn from what it was.

    Adds `predicted`, and `score`, how far the number is from it, in units of the usual error
    (root of the mean square) so far: null where the number is missing.
    State: per key two numbers for each column and each bucket, and one block of rows.

    References: Duchi, Hazan, Singer (2011), Adaptive Subgradient Methods for Online Learning and
    Stochastic Optimization, JMLR 12; Huber (1964), Robust Estimation of a Location Parameter.
    """

    example: ClassVar[str] = (
        "- linear_regression: {target: temperature, columns: [humidity, n], block: 32}"
    )

    def adds(self) -> Mapping[str, pl.DataType]:
        return {"predicted": pl.Float64()}

    def algorithm(self, form: Form) -> Algorithm:
        make = partial(Linear, len(self.columns), len(self.categories), self.buckets)
        return PerKey(form, partial(make, self.block, self.rate))


class Linear(Descent):
    """The squared loss of the target as scaled so far, linear for great errors."""

    def slope(self, raw: Array, target: Array) -> Array:
        if not self.blocks:
            return np.zeros(len(raw))
        wrong = raw - (target - self.moments[1, -1]) * self.inverse[-1]
        error = np.minimum(np.abs(wrong), WILD) * self.deviation[-1]
        self.error += (error * error).sum()
        return np.asarray(np.clip(wrong, -SURPRISE, SURPRISE))

    def said(self, raw: Array, target: Array) -> Mapping[str, Array]:
        counts, mean, _ = self.moments
        predicted = mean[-1] + raw * self.deviation[-1]
        usual = np.sqrt(self.error[0] / max(counts[-1], 1))
        if not usual:
            return {"score": np.full(len(raw), np.nan), "predicted": predicted}
        return {"score": np.abs(target - predicted) / usual, "predicted": predicted}
