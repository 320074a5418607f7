"""How likely a row is one of a kind, learnt from rows of which that is known."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar

import numpy as np
import polars as pl

from pydatastream.parts.scoring.descent import Descent
from pydatastream.parts.scoring.learner import Learner
from pydatastream.parts.scoring.models import Array, PerKey
from pydatastream.parts.scoring.values import Algorithm, Form


class LogisticRegression(Learner):
    """Predict whether a column is true, then learn from whether it was.

    Adds `score`, the probability that it is, and `predicted`, whether that is above one half. A
    number as target is true if it is above 0.
    State: per key two numbers for each column and each bucket, and one block of rows.

    References: Duchi, Hazan, Singer (2011), Adaptive Subgradient Methods for Online Learning and
    Stochastic Optimization, JMLR 12; Weinberger et al. (2009), Feature Hashing, ICML.
    """

    example: ClassVar[str] = (
        "- logistic_regression: {target: n, columns: [temperature], categories: [device_id]}"
    )

    def adds(self) -> Mapping[str, pl.DataType]:
        return {"predicted": pl.Boolean()}

    def algorithm(self, form: Form) -> Algorithm:
        make = partial(Logistic, len(self.columns), len(self.categories), self.buckets)
        return PerKey(form, partial(make, self.block, self.rate))


class Logistic(Descent):
    """The logistic loss."""

    def slope(self, raw: Array, target: Array) -> Array:
        return probability(raw) - (target > 0)

    def said(self, raw: Array, target: Array) -> Mapping[str, Array]:  # noqa: ARG002
        score = probability(raw)
        return {"score": score, "predicted": score > 0.5}


def probability(raw: Array) -> Array:
    """1 / (1 + exp(-raw)); beyond 40 it is 0 or 1 to all digits."""
    return np.asarray(1 / (1 + np.exp(-np.clip(raw, -40, 40))))
