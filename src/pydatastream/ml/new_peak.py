"""A gate that lets a score pass only while it is the highest for a while."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import polars as pl
from pydantic import Field

from pydatastream.parts.scoring.detector import OneColumn
from pydatastream.parts.scoring.sequences import Following, Stage, V, before
from pydatastream.parts.scoring.values import VALUE, Algorithm, Form

HIGHEST = "highest"


class NewPeak(OneColumn):
    """Keep a score only where it tops all of the last `rows` scores of its key.

    Adds `peak`: the score there, and 0 elsewhere. One event then raises few alarms, at its
    beginning: a score that stays high is no news.
    State: the last `rows` scores of each key.
    """

    example: ClassVar[str] = "- new_peak: {column: temperature, by: [device_id], rows: 100}"

    rows: int = Field(100, gt=0)
    """How far back a score is compared."""

    def columns_added(self) -> Mapping[str, pl.DataType]:
        return {"peak": pl.Float64()}

    def algorithm(self, form: Form) -> Algorithm:
        highest = V.rolling_max(self.rows, min_samples=1).alias(HIGHEST)
        tops = (before(HIGHEST) < V).fill_null(True)
        return Following(
            form,
            learnt=[Stage([highest])],
            statistics=[HIGHEST],
            verdict=[[pl.when(tops).then(V).otherwise(0.0).alias("peak")]],
            tail=self.rows,
            also=[VALUE],
        )
