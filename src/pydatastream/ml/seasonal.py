"""How far each value is from what is usual at its time of the week."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Self

import polars as pl
from pydantic import Field, model_validator

from pydatastream.core.times import Duration, micros
from pydatastream.parts.scoring.detector import ColumnDetector
from pydatastream.parts.scoring.sequences import (
    MEAN,
    MEANS,
    MOMENTS,
    VARIANCE,
    Chained,
    Following,
    V,
    apart,
    before,
    means,
    moments,
    warm,
)
from pydatastream.parts.scoring.values import TIME, Algorithm, Form

SLOT, REST = "__slot", "rest"


class Seasonal(ColumnDetector):
    """Score how far a value is from the usual one of its slot of the week.

    Each slot of the period has a moving mean per key (`alpha`). What is left of a value is
    judged by its own moving mean and spread (`memory`). Adds `score`, in spreads, and
    `expected`, the mean of the slot; both are null until the slot has been seen before. Times
    are in UTC; rows are learnt in the order in which they come.
    State: per key one row, and one for each slot.

    References: Holt (1957), Forecasting Seasonals and Trends by Exponentially Weighted Moving
    Averages (reprinted 2004, International Journal of Forecasting 20), without its trend.
    """

    timed: ClassVar[bool] = True
    example: ClassVar[str] = (
        "- seasonal: {column: temperature, by: [device_id], period: 2h, slot: 10m}"
    )

    period: Duration = "7d"
    """After this long everything comes again."""
    slot: Duration = "1h"
    """How finely the period is divided."""
    alpha: float = Field(0.1, gt=0, le=1)
    """The weight of the newest value in the mean of its slot."""
    memory: float = Field(0.001, gt=0, le=1)
    """The weight of the newest value in the spread, of which there is one per key."""
    warmup: int = Field(30, ge=2)
    """How many rows of a key must have been compared before one is scored."""

    @model_validator(mode="after")
    def _several_slots(self) -> Self:
        if not 0 < micros(self.slot) < micros(self.period):
            raise ValueError("`slot` is shorter than `period`, and longer than nothing")
        return self

    def adds(self) -> Mapping[str, pl.DataType]:
        return {"expected": pl.Float64()}

    def algorithm(self, form: Form) -> Algorithm:
        usual = Following(
            replace(form, by=(*form.by, SLOT)),
            learnt=means(V, self.alpha),
            statistics=MEANS,
            verdict=[[before(MEAN).alias("expected"), (V - before(MEAN)).alias(REST)]],
            name="slots",
        )
        rest = Following(
            replace(form, time=None),
            learnt=moments(V, self.memory),
            statistics=MOMENTS,
            verdict=[[warm(self.warmup, apart(V, before(MEAN), before(VARIANCE).sqrt()))]],
            name="rest",
        )
        slot = pl.col(TIME) % micros(self.period) // micros(self.slot)
        return Chained(usual, REST, rest, ["score"], [slot.alias(SLOT)])
