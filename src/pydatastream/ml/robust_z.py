"""How far each value is from the median of those before it, in median deviations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import polars as pl
from pydantic import Field

from pydatastream.parts.scoring.detector import ColumnDetector
from pydatastream.parts.scoring.sequences import Following, Stage, V, apart, before, resumed, warm
from pydatastream.parts.scoring.values import VALUE, Algorithm, Form

MEDIAN, AWAY, DEVIATION = "median", "away", "deviation"
NORMAL = 1.4826
"""The standard deviation of normal values, in median deviations."""


class RobustZ(ColumnDetector):
    """Score how far a value is from the median, in median absolute deviations.

    Both are of the last `window` rows. Each deviation is from the median as it stood before
    its own row. Adds `score` (in standard deviations, were the values normal; infinite where
    more than half of the values were exactly as expected and this one is not; null in the
    first `warmup` rows of a key) and `expected`, the median. A few odd rows move neither.
    State: the last `window` rows of each key.

    References: Hampel (1974), The Influence Curve and its Role in Robust Estimation, JASA 69;
    Iglewicz, Hoaglin (1993), How to Detect and Handle Outliers, chapter 3.
    """

    example: ClassVar[str] = "- robust_z: {column: temperature, by: [device_id], window: 100}"

    window: int = Field(100, ge=3)
    """How many rows the median is of."""
    warmup: int = Field(30, ge=2)
    """How many rows of a key are learnt before one is scored."""

    def adds(self) -> Mapping[str, pl.DataType]:
        return {"expected": pl.Float64()}

    def algorithm(self, form: Form) -> Algorithm:
        away = (V - pl.col(MEDIAN).shift(1)).abs()
        kept = resumed(AWAY, away)
        return Following(
            form,
            learnt=[
                Stage([V.rolling_median(self.window, min_samples=1).alias(MEDIAN)]),
                Stage([kept.alias(AWAY)]),
                Stage([pl.col(AWAY).rolling_median(self.window, min_samples=1).alias(DEVIATION)]),
            ],
            statistics=[MEDIAN, DEVIATION],
            verdict=[
                [
                    warm(self.warmup, apart(V, before(MEDIAN), NORMAL * before(DEVIATION))),
                    before(MEDIAN).alias("expected"),
                ]
            ],
            tail=self.window,
            also=[VALUE, AWAY],
        )
