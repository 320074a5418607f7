"""Moving averages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import polars as pl
from pydantic import Field

from pydatastream.parts.scoring.detector import OneColumn
from pydatastream.parts.scoring.sequences import Following
from pydatastream.parts.scoring.sliding import MEAN, VARIANCE, sliding, tail
from pydatastream.parts.scoring.values import VALUE, Algorithm, Form


class Moving(OneColumn):
    """Add the mean and spread of the last `rows` values of a column, up to each row.

    Adds `mean` and `spread` (a standard deviation of a population), the row itself included;
    of fewer rows while there are no more. Unlike in `rolling`, values that are missing are no
    rows, and the result is the same to the last bit however the stream was cut.
    State: the last 2 * `rows` rows of each key.
    """

    example: ClassVar[str] = "- moving: {column: temperature, by: [device_id], rows: 10}"

    rows: int = Field(10, ge=2)
    """How many rows count."""

    def columns_added(self) -> Mapping[str, pl.DataType]:
        return {"mean": pl.Float64(), "spread": pl.Float64()}

    def algorithm(self, form: Form) -> Algorithm:
        return Following(
            form,
            learnt=sliding(self.rows),
            statistics=[MEAN, VARIANCE],
            verdict=[[pl.col(VARIANCE).sqrt().alias("spread")]],
            tail=tail(self.rows),
            also=[VALUE],
        )
