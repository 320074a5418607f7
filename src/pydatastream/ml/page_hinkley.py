"""A change of the mean, by the sum of deviations from the mean so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import polars as pl
from pydantic import Field

from pydatastream.parts.scoring.detector import ColumnDetector
from pydatastream.parts.scoring.sequences import (
    LEARNT,
    Following,
    N,
    Stage,
    V,
    before,
    ewm,
    resumed,
    warm,
)
from pydatastream.parts.scoring.values import Algorithm, Form

TOTAL = "total"


class PageHinkley(ColumnDetector):
    """Score how far the sum of deviations from the mean has come from its extremes.

    The mean is of all rows of the key so far, the row itself included; so are the sums of
    deviations, less `delta` each. Adds `score`, the greater of `rise` and `fall`, in the
    unit of the column (a usual threshold is 50). Null in the first `warmup` rows of a key.
    State: one row per key.

    References: Page (1954), Continuous Inspection Schemes, Biometrika 41; Gama et al. (2014),
    A Survey on Concept Drift Adaptation, ACM Computing Surveys 46, section 3.2.
    """

    example: ClassVar[str] = "- page_hinkley: {column: temperature, by: [device_id]}"

    delta: float = Field(0.005, ge=0)
    """Deviations up to this do not add up, in the unit of the column."""
    forget: float = Field(0.0001, gt=0, lt=1)
    """The share of the sums that is forgotten with each row."""
    warmup: int = Field(30, ge=1)
    """How many rows of a key are learnt before one is scored."""

    def adds(self) -> Mapping[str, pl.DataType]:
        return {"rise": pl.Float64(), "fall": pl.Float64()}

    def algorithm(self, form: Form) -> Algorithm:
        """A sum that is forgotten slowly is an exponentially weighted mean, but for a factor."""
        away = V - pl.col(TOTAL) / N
        sides = {"rise": away - self.delta, "fall": -away - self.delta}
        first = pl.when(N == 1)
        sums = [
            ewm(resumed(side, first.then(step).otherwise(step * (1 / self.forget))), self.forget)
            for side, step in sides.items()
        ]
        named = [one.alias(side) for one, side in zip(sums, sides, strict=True)]
        lowest = [resumed(f"{side}_least", pl.col(side)).cum_min() for side in sides]
        return Following(
            form,
            learnt=[
                Stage([resumed(TOTAL, V).cum_sum().alias(TOTAL)]),
                Stage(named),
                Stage(
                    [one.alias(f"{side}_least") for one, side in zip(lowest, sides, strict=True)]
                ),
            ],
            statistics=[TOTAL, *sides, *(f"{side}_least" for side in sides)],
            verdict=self._verdict(),
        )

    def _verdict(self) -> list[list[pl.Expr]]:
        """As after the row, from what stood before it."""
        away = V - (before(TOTAL).fill_null(0) + V) / (LEARNT + 1)
        columns = []
        for side, deviation in (("rise", away), ("fall", -away)):
            sum_ = before(side).fill_null(0) * (1 - self.forget) + (deviation - self.delta)
            least = pl.min_horizontal(before(f"{side}_least"), sum_)
            columns.append(warm(self.warmup, sum_ - least).alias(side))
        return [columns, [pl.max_horizontal("rise", "fall").alias("score")]]
