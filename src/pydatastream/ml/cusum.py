"""Small shifts that last, as sums of what is too much and of what is too little."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import polars as pl
from pydantic import Field

from pydatastream.parts.scoring.detector import ColumnDetector
from pydatastream.parts.scoring.sequences import (
    LEARNT,
    MEAN,
    MOMENTS,
    VARIANCE,
    Chained,
    Following,
    Stage,
    V,
    before,
    moments,
    resumed,
)
from pydatastream.parts.scoring.values import Algorithm, Form

DEVIATION = "deviation"
SIDES = {"up": V, "down": -V}


class Cusum(ColumnDetector):
    """Score how much the deviations of a key's values have added up, in one direction.

    Each value is standardised by a slow moving mean and spread (`alpha`), and by how much it
    exceeds `slack` a sum grows, which never falls below 0; there is one sum for each direction.
    Adds `score`, the greater of the two with the row itself (a usual threshold is 5), `up` and
    `down`. Null in the first `warmup` rows of a key.
    State: two rows per key.

    References: Page (1954), Continuous Inspection Schemes, Biometrika 41; Montgomery (2013),
    Introduction to Statistical Quality Control, section 9.1.
    """

    example: ClassVar[str] = "- cusum: {column: temperature, by: [device_id], slack: 0.5}"

    slack: float = Field(0.5, ge=0)
    """Deviations up to this many standard deviations do not add up."""
    most: float = Field(10.0, gt=0)
    """One value counts for no more standard deviations than this."""
    alpha: float = Field(0.001, gt=0, le=1)
    """The weight of the newest value in mean and spread."""
    warmup: int = Field(30, ge=2)
    """How many rows of a key are learnt before their deviations add up."""

    def adds(self) -> Mapping[str, pl.DataType]:
        return dict.fromkeys(SIDES, pl.Float64())

    def algorithm(self, form: Form) -> Algorithm:
        apart = V - before(MEAN)
        deviation = pl.when(apart == 0).then(0.0).otherwise(apart / before(VARIANCE).sqrt())
        bounded = pl.when(LEARNT.ge(self.warmup)).then(deviation.clip(-self.most, self.most))
        standard = Following(
            form,
            learnt=moments(V, self.alpha),
            statistics=MOMENTS,
            verdict=[[bounded.alias(DEVIATION)]],
        )
        return Chained(standard, DEVIATION, self._sums(replace(form, time=None)), ("score", *SIDES))

    def _sums(self, form: Form) -> Following:
        """A sum that does not fall below 0 is a running total less its least: no loop."""
        totals, leasts, sums = [], [], []
        for side, value in SIDES.items():
            total, least, step = f"{side}_total", f"{side}_least", value - self.slack
            totals.append(resumed(total, step).cum_sum().alias(total))
            lowest = resumed(least, pl.col(total).clip(upper_bound=0))
            leasts.append(lowest.cum_min().alias(least))
            so_far = (before(total) - before(least)).fill_null(0)
            sums.append((so_far + step).clip(0).alias(side))
        return Following(
            form,
            learnt=[Stage(totals), Stage(leasts)],
            statistics=[f"{side}_{what}" for side in SIDES for what in ("total", "least")],
            verdict=[sums, [pl.max_horizontal(*SIDES).alias("score")]],
            name="sums",
        )
