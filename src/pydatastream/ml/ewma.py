"""How far each value is from an exponentially weighted mean of those before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import polars as pl
from pydantic import Field

from pydatastream.parts.scoring.detector import ColumnDetector
from pydatastream.parts.scoring.sequences import (
    MEAN,
    MOMENTS,
    VARIANCE,
    Following,
    V,
    apart,
    before,
    moments,
    warm,
)
from pydatastream.parts.scoring.values import Algorithm, Form


class Ewma(ColumnDetector):
    """Score how far a value is from the moving mean, in moving standard deviations.

    Both move by `alpha` with each row, exponentially. Adds `score` (0 where the value is as
    expected; infinite where it differs though none did before; null in the first `warmup` rows
    of a key) and `expected`, the mean before the row.
    State: one row per key.

    References: Roberts (1959), Control Chart Tests Based on Geometric Moving Averages,
    Technometrics 1(3).
    """

    example: ClassVar[str] = "- ewma: {column: temperature, by: [device_id], alpha: 0.05}"

    alpha: float = Field(0.05, gt=0, le=1)
    """The weight of the newest value; about 2 / alpha rows count."""
    warmup: int = Field(30, ge=2)
    """How many rows of a key are learnt before one is scored."""

    def adds(self) -> Mapping[str, pl.DataType]:
        return {"expected": pl.Float64()}

    def algorithm(self, form: Form) -> Algorithm:
        score = apart(V, before(MEAN), before(VARIANCE).sqrt())
        return Following(
            form,
            learnt=moments(V, self.alpha),
            statistics=MOMENTS,
            verdict=[[warm(self.warmup, score), before(MEAN).alias("expected")]],
        )
