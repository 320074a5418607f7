"""How sparsely populated the place of each row is, in random trees of half spaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import polars as pl
from pydantic import Field

from pydatastream.parts.scoring.blocks import BlockModel
from pydatastream.parts.scoring.chance import Chance
from pydatastream.parts.scoring.models import Array
from pydatastream.parts.scoring.multivariate import ColumnsDetector
from pydatastream.parts.scoring.values import Algorithm, Form

PADDING = 0.15
"""No split is nearer to an edge than this share of its range, as in River."""
SPARSE = 0.1
"""A node with less than this share of the window's rows is not looked into (section 5)."""


class HalfSpaceTrees(ColumnsDetector):
    """Score how odd each row is, by how few rows of the window before were near it.

    Adds `score` in [0, 1], high = odd, and `mass`, the rows of the window before that ended
    in the same leaves, a mean over the trees; null during the first `window` rows. Columns are
    scaled by the least and the greatest value so far. Splits are random within their range, as
    River has them, where the paper halves a random work range.
    State: per key 2 * trees * 2**depth numbers and one window of rows.

    References: Tan, Ting, Liu (2011), Fast Anomaly Detection for Streaming Data, IJCAI.
    """

    example: ClassVar[str] = "- half_space_trees: {columns: [temperature, humidity], window: 100}"

    trees: int = Field(25, gt=0, le=1000)
    """How many trees; more of them make the score smoother."""
    depth: int = Field(8, gt=0, le=15)
    """Splits on the way to a leaf."""
    window: int = Field(250, gt=0)
    """Rows that are counted before their counts are used for scoring."""
    seed: int = Field(0, ge=0)
    """What fixes the random trees."""

    def adds(self) -> Mapping[str, pl.DataType]:
        return {"mass": pl.Float64()}

    def algorithm(self, form: Form) -> Algorithm:
        trees = Trees.random(self.trees, self.depth, len(form.columns), self.seed)
        return self.models(form, partial(Masses, trees, self.window), self.window)


@dataclass(frozen=True, slots=True)
class Trees:
    """Perfect binary trees; by level, shape (trees * 2**level,): feature and threshold."""

    count: int
    features: list[Array]
    thresholds: list[Array]

    @property
    def depth(self) -> int:
        """Splits on the way to a leaf."""
        return len(self.features)

    @classmethod
    def random(cls, count: int, depth: int, width: int, seed: int) -> Trees:
        """Trees over the unit cube of `width` features."""
        chance = Chance(seed)
        low, high = np.zeros((count, width)), np.ones((count, width))
        features, thresholds = [], []
        for _ in range(depth):
            nodes = np.arange(len(low))
            feature = chance.below(width, len(low))
            least, most = low[nodes, feature], high[nodes, feature]
            share = PADDING + (1 - 2 * PADDING) * chance.uniform(len(low))
            threshold = least + (most - least) * share
            low, high = np.repeat(low, 2, axis=0), np.repeat(high, 2, axis=0)
            high[2 * nodes, feature] = threshold
            low[2 * nodes + 1, feature] = threshold
            features.append(feature)
            thresholds.append(threshold)
        return cls(count, features, thresholds)

    def leaves(self, rows: Array) -> Array:
        """For each row and tree the number of the leaf among all trees' leaves."""
        starts = np.arange(len(rows))[:, None] * rows.shape[1]
        flat = np.ascontiguousarray(rows).reshape(-1)
        node = np.tile(np.arange(self.count), (len(rows), 1))
        for feature, threshold in zip(self.features, self.thresholds, strict=True):
            value = flat.take(starts + feature.take(node))
            right = value >= threshold.take(node)
            node *= 2
            node += right
        return node


class Masses(BlockModel):
    """How many rows of the last window lie in each leaf, and what that makes of a row there."""

    def __init__(self, trees: Trees, window: int, width: int) -> None:
        super().__init__(window, width)
        self.trees = trees
        self.bounds = np.array([np.full(width, np.inf), np.full(width, -np.inf)])
        self.count = np.zeros(trees.count << trees.depth, np.int32)
        self.table = self._table()
        self.leaves: Array = np.empty(0)

    def score(self, rows: Array) -> Mapping[str, Array]:
        low = np.minimum(np.minimum.accumulate(rows), self.bounds[0])
        high = np.maximum(np.maximum.accumulate(rows), self.bounds[1])
        extent = high - low
        scaled = np.divide(rows - low, extent, out=np.zeros_like(rows), where=extent > 0)
        self.leaves = self.trees.leaves(scaled)
        if not self.blocks:
            return dict.fromkeys(("score", "mass"), np.full(len(rows), np.nan))
        total = self.table.take(self.leaves).sum(axis=1)
        most = self.trees.count * self.size * (2.0 ** (self.trees.depth + 1) - 1)
        score = 1 - np.log1p(total) / np.log1p(most)
        return {"score": score, "mass": self.count.take(self.leaves).mean(axis=1)}

    def learn_block(self, rows: Array) -> None:
        self.bounds[0] = np.minimum(self.bounds[0], rows.min(axis=0))
        self.bounds[1] = np.maximum(self.bounds[1], rows.max(axis=0))
        found = self.leaves[: self.size].reshape(-1)
        self.count = np.bincount(found, minlength=len(self.count)).astype(np.int32)
        self.table = self._table()

    def _table(self) -> Array:
        """For each leaf the mass of the node where the way to it gets sparse, times 2**depth."""
        masses = [self.count]
        for _ in range(self.trees.depth):
            masses.append(masses[-1].reshape(-1, 2).sum(axis=1))
        worth, dense = np.zeros(self.trees.count), np.ones(self.trees.count, bool)
        for depth, mass in enumerate(reversed(masses)):
            if depth:
                worth, dense = np.repeat(worth, 2), np.repeat(dense, 2)
            worth += np.where(dense, mass * 2.0**depth, 0)
            dense &= mass >= SPARSE * self.size
        return worth

    def learnt(self) -> Mapping[str, Array]:
        return {"bounds": self.bounds, "mass": self.count}

    def relearn(self, arrays: Mapping[str, Array]) -> None:
        self.bounds = arrays["bounds"].reshape(2, self.width)
        self.count = arrays["mass"]
        self.table = self._table()
