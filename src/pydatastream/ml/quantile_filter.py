"""How far each value is outside the usual range of those before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import polars as pl
from pydantic import Field, model_validator

from pydatastream.parts.scoring.detector import ColumnDetector
from pydatastream.parts.scoring.sequences import Following, Stage, V, before, warm
from pydatastream.parts.scoring.values import VALUE, Algorithm, Form

LOW, HIGH = "low", "high"


class QuantileFilter(ColumnDetector):
    """Score how far a value is outside two quantiles, in their distance apart.

    Both are of the last `window` rows, interpolated. Adds `score` (0 from one to the other;
    infinite outside of a range without width; null in the first `warmup` rows of a key),
    `low` and `high`. No shape of the values is assumed.
    State: the last `window` rows of each key.

    References: Tukey (1977), Exploratory Data Analysis, section 2D (fences); Hyndman, Fan (1996),
    Sample Quantiles in Statistical Packages (number 7).
    """

    example: ClassVar[str] = (
        "- quantile_filter: {column: temperature, by: [device_id], window: 100}"
    )

    window: int = Field(1000, ge=2)
    """How many rows the quantiles are of."""
    low: float = Field(0.01, ge=0, lt=1)
    """The quantile below which a value is odd."""
    high: float = Field(0.99, gt=0, le=1)
    """The quantile above which a value is odd."""
    warmup: int = Field(30, ge=2)
    """How many rows of a key are learnt before one is scored."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low >= self.high:
            raise ValueError("`low` is less than `high`")
        return self

    def adds(self) -> Mapping[str, pl.DataType]:
        return {LOW: pl.Float64(), HIGH: pl.Float64()}

    def algorithm(self, form: Form) -> Algorithm:
        quantiles = [
            V.rolling_quantile(at, "linear", window_size=self.window, min_samples=1).alias(name)
            for name, at in ((LOW, self.low), (HIGH, self.high))
        ]
        outside = pl.max_horizontal(before(LOW) - V, V - before(HIGH))
        score = pl.when(outside > 0).then(outside / (before(HIGH) - before(LOW))).otherwise(0.0)
        return Following(
            form,
            learnt=[Stage(quantiles)],
            statistics=[LOW, HIGH],
            verdict=[
                [warm(self.warmup, score)],
                [before(LOW).alias(LOW), before(HIGH).alias(HIGH)],
            ],
            tail=self.window,
            also=[VALUE],
        )
