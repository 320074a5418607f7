"""How rare a row is in the histograms of many random projections."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar

import numpy as np
import polars as pl
from pydantic import Field

from pydatastream.parts.scoring.blocks import BlockModel, product
from pydatastream.parts.scoring.chance import Chance
from pydatastream.parts.scoring.models import Array
from pydatastream.parts.scoring.multivariate import ColumnsDetector
from pydatastream.parts.scoring.values import Algorithm, Form


class Loda(ColumnsDetector):
    """Score how rare each row is in the histograms of many random projections.

    Adds `score`, the mean of -log p over the projections (0 = certain, high = odd), and `cause`,
    the column whose projections are the most surprised, compared with those without it; null
    during the first `window` rows. These scale the columns and lay the bins; every later block
    of `window` rows is added to the counts.
    State: per key projections * bins counts and one window of rows.

    References: Pevny (2016), Loda: Lightweight on-line detector of anomalies, Machine Learning
    102, sections 3.1 and 3.3.
    """

    example: ClassVar[str] = "- loda: {columns: [temperature, humidity], window: 100}"

    projections: int = Field(200, gt=0, le=10_000)
    """How many histograms, each of a random mixture of some columns."""
    bins: int = Field(50, gt=1, le=10_000)
    """Bins between the least and the greatest value of the first window."""
    window: int = Field(250, gt=0)
    """Rows that are counted together before they count."""
    forget: float = Field(0.0, ge=0, lt=1)
    """The share of the counts that is forgotten at each window; 0: none."""
    seed: int = Field(0, ge=0)
    """What fixes the random mixtures."""

    def adds(self) -> Mapping[str, pl.DataType]:
        return {"cause": pl.String()}

    def algorithm(self, form: Form) -> Algorithm:
        mixtures = sparse_mixtures(len(form.columns), self.projections, self.seed)
        make = partial(Histograms, mixtures, self.bins, self.window, self.forget)
        return self.models(form, make, self.window)


def sparse_mixtures(width: int, count: int, seed: int) -> Array:
    """Random mixtures of about sqrt(width) columns each, shape (width, count)."""
    chance = Chance(seed)
    order = chance.uniform(width, count).argsort(axis=0, kind="stable").argsort(axis=0)
    used = order < max(1, round(width**0.5))
    return np.where(used, chance.normal(width, count), 0.0)


def contrasts(used: Array) -> Array:
    """For each column the mean over mixtures with it less that over those without it."""
    inside, outside = used.T.astype(np.float64), (~used).T.astype(np.float64)
    fewest = 1.0  # where all mixtures have the column, or none
    with_it = inside / np.maximum(inside.sum(axis=0), fewest)
    return np.asarray(with_it - outside / np.maximum(outside.sum(axis=0), fewest))


class Histograms(BlockModel):
    """One histogram for each projection; the outermost bins take what lies beyond."""

    def __init__(self, mixtures: Array, bins: int, window: int, forget: float, width: int) -> None:
        super().__init__(window, width)
        self.mixtures, self.bins, self.forget = mixtures, bins, forget
        self.contrast = contrasts(mixtures != 0)
        self.slots = bins + 2
        self.starts = np.arange(mixtures.shape[1]) * self.slots
        self.scale = np.array([np.zeros(self.width), np.ones(self.width)])
        self.edges = np.array([np.zeros(len(self.starts)), np.ones(len(self.starts))])
        self.count = np.zeros(len(self.starts) * self.slots)
        self.places: Array = np.empty(0)

    def score(self, rows: Array) -> Mapping[str, Array]:
        if not self.blocks:
            return {"score": np.full(len(rows), np.nan), "cause": np.full(len(rows), -1)}
        total = self.count[: self.slots].sum()
        surprise = np.log((total + self.slots) / (self.count + 1))
        self.places = self._places(self._projected(rows))
        found = surprise.take(self.places)
        return {"score": found.mean(axis=1), "cause": product(found, self.contrast).argmax(axis=1)}

    def learn_block(self, rows: Array) -> None:
        if not self.blocks:
            self._lay(rows)
            self.places = self._places(self._projected(self.buffer))
        found = np.bincount(self.places[: self.size].reshape(-1), minlength=len(self.count))
        self.count = self.count * (1 - self.forget) + found

    def _lay(self, rows: Array) -> None:
        """Scale the columns, and lay the bins, by the first block."""
        spread = rows.std(axis=0)
        self.scale = np.array([rows.mean(axis=0), np.where(spread > 0, spread, 1)])
        projected = self._projected(self.buffer)[: self.size]
        low, high = projected.min(axis=0), projected.max(axis=0)
        self.edges = np.array([low, np.where(high > low, (high - low) / self.bins, 1)])

    def _projected(self, rows: Array) -> Array:
        return product((rows - self.scale[0]) / self.scale[1], self.mixtures)

    def _places(self, projected: Array) -> Array:
        """Where each projection falls, shape (n, projections), among the bins of all."""
        bins = projected - self.edges[0]
        bins /= self.edges[1]
        bins += 1  # what lies below falls on 0, and whole parts are floors
        np.minimum(np.maximum(bins, 0, out=bins), self.slots - 1, out=bins)
        places: Array = bins.astype(np.intp)
        places += self.starts
        return places

    def learnt(self) -> Mapping[str, Array]:
        return {"scale": self.scale, "edges": self.edges, "count": self.count}

    def relearn(self, arrays: Mapping[str, Array]) -> None:
        self.scale = arrays["scale"].reshape(2, -1)
        self.edges = arrays["edges"].reshape(2, -1)
        self.count = arrays["count"]
