"""Clusters as filters: rows that belong to one are kept, dropped, or just labelled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from pydantic import Field

from pydatastream.core.batch import Emission
from pydatastream.core.operator import Flow, Kernel
from pydatastream.core.state import State
from pydatastream.parts.scoring.blocks import BlockModel
from pydatastream.parts.scoring.models import Array
from pydatastream.parts.scoring.multivariate import ColumnsDetector


class ClusterFilter(ColumnsDetector):
    """A detector that finds clusters, and may drop what belongs to one, or what does not.

    It adds `cluster`, the number of the nearest one. Rows of which nothing can be said yet, or
    where a value is missing, are never dropped.
    """

    rows: Literal["label", "keep", "drop"] = "label"
    """Label all rows; or keep those that belong to a cluster; or drop those that do."""
    limit: float = Field(3.0, gt=0)
    """Up to this score a row belongs to its cluster."""
    window: int = Field(250, gt=1)
    """Rows that are learnt from together; the first of them scale the columns."""
    seed: int = Field(0, ge=0)
    """What fixes the choices of chance."""

    def adds(self) -> Mapping[str, pl.DataType]:
        return {"cluster": pl.Int64()}

    def open(self, state: State, *inputs: Flow) -> Kernel:
        kernel = super().open(state, *inputs)
        belongs = pl.col(f"{self.prefix}score") <= self.limit
        passes = {"keep": belongs, "drop": ~belongs}.get(self.rows)
        return kernel if passes is None else Sieve(kernel, passes.fill_null(True))


@dataclass(slots=True)
class Sieve(Kernel):
    """Of the rows that another kernel gives, those that pass."""

    kernel: Kernel
    passes: pl.Expr

    def on_batch(self, rows: pl.DataFrame, port: int = 0) -> Emission:
        for one in self.kernel.on_batch(rows, port):
            yield one.filter(self.passes) if isinstance(one, pl.DataFrame) else one


class ScaledModel(BlockModel):
    """A model of rows scaled by mean and deviation of the first block; it says nothing before."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__(size, width)
        self.scale = np.array([np.zeros(width), np.ones(width)])

    def scaled(self, rows: Array) -> Array:
        """The rows, in deviations of the first block."""
        return np.asarray((rows - self.scale[0]) / self.scale[1])

    def measure(self, rows: Array) -> None:
        """Take the scale of these rows; a constant column keeps its own unit."""
        deviation = rows.std(axis=0)
        self.scale = np.array([rows.mean(axis=0), np.where(deviation > 0, deviation, 1)])

    def nothing(self, rows: Array) -> Mapping[str, Array]:
        """What is said before anything is known."""
        return dict.fromkeys(("score", "cluster"), np.full(len(rows), np.nan))


def squared_distances(rows: Array, centres: Array) -> Array:
    """Of each row to each centre, shape (n, k), term by term: no cancellation, no tile."""
    total = np.zeros((len(rows), len(centres)))
    for column, centre in zip(rows.T, centres.T, strict=True):
        away = column[:, None] - centre
        away *= away
        total += away
    return total


def sums_by(groups: Array, rows: Array, count: int) -> Array:
    """The sum of the rows of each group, shape (count, d)."""
    columns = [np.bincount(groups, column, count) for column in rows.T]
    return np.stack(columns, axis=1)
