"""Exponential smoothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import polars as pl
from pydantic import Field

from pydatastream.parts.scoring.detector import OneColumn
from pydatastream.parts.scoring.sequences import MOMENTS, VARIANCE, Following, V, moments
from pydatastream.parts.scoring.values import Algorithm, Form


class Smooth(OneColumn):
    """Add the exponentially weighted mean and spread of a column, up to each row.

    Adds `mean` and `spread` (a standard deviation), the row itself included. A row's weight
    falls by the factor 1 - alpha with each row of its key that follows.
    State: one row per key.

    References: Brown (1956), Exponential Smoothing for Predicting Demand.
    """

    example: ClassVar[str] = "- smooth: {column: temperature, by: [device_id], alpha: 0.1}"

    alpha: float = Field(0.1, gt=0, le=1)
    """The weight of the newest value; about 2 / alpha rows count."""

    def columns_added(self) -> Mapping[str, pl.DataType]:
        return {"mean": pl.Float64(), "spread": pl.Float64()}

    def algorithm(self, form: Form) -> Algorithm:
        return Following(
            form,
            learnt=moments(V, self.alpha),
            statistics=MOMENTS,
            verdict=[[pl.col(VARIANCE).sqrt().alias("spread")]],
        )
