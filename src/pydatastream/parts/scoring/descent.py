"""Linear models that learn by steps down the slope of their error."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np

from pydatastream.parts.scoring.blocks import BlockModel
from pydatastream.parts.scoring.models import Array

FAR = 6.0
"""Scaled numbers beyond this count as this: one odd row must not undo what was learnt."""
WILD = 10.0
"""Numbers and targets more deviations away than this count as this in mean and deviation."""
TINY = 1e-8
"""What the squares of slopes begin with, so that the first step is of the size of the rate."""


class Descent(BlockModel):
    """Weights of buckets of names and of scaled numbers; each has a step size of its own.

    A row is the buckets, the numbers, and the target or NaN. The scale is that of all rows of
    earlier blocks, in which what was WILD to the blocks before counts as less.

    References: Duchi, Hazan, Singer (2011), Adaptive Subgradient Methods, JMLR 12 (step sizes);
    Weinberger et al. (2009), Feature Hashing for Large Scale Multitask Learning, ICML (buckets);
    Chan, Golub, LeVeque (1983), Algorithms for Computing the Sample Variance (scale).
    """

    def __init__(self, numbers: int, names: int, buckets: int, block: int, rate: float) -> None:
        super().__init__(block, names + numbers + 1)
        self.numbers, self.names, self.rate = numbers, names, rate
        weights = numbers + buckets + 1
        self.weights, self.squares = np.zeros(weights), np.full(weights, TINY)
        self.moments = np.zeros((3, numbers + 1))
        """Count, mean, and sum of squares about it, of each number and of the target."""
        self.error = np.zeros(1)
        """The sum of squared errors."""
        self.scaled: Array = np.empty(0)
        self.places: Array = np.empty(0)
        self.raw: Array = np.empty(0)
        self._scale()

    @abstractmethod
    def slope(self, raw: Array, target: Array) -> Array:
        """How fast the loss grows with each raw prediction."""

    @abstractmethod
    def said(self, raw: Array, target: Array) -> Mapping[str, Array]:
        """The columns to give."""

    def score(self, rows: Array) -> Mapping[str, Array]:
        scaled = rows[:, self.names : -1] - self.moments[1, :-1]
        scaled *= self.inverse[:-1]
        self.scaled = np.minimum(np.maximum(scaled, -FAR, out=scaled), FAR, out=scaled)
        self.raw = self.scaled @ self.weights[: self.numbers] + self.weights[-1]
        if self.names:
            self.places = rows[:, : self.names].astype(np.intp) + self.numbers
            self.raw += self.weights.take(self.places).sum(axis=1)
        return self.said(self.raw, rows[:, -1])

    def learn_block(self, rows: Array) -> None:
        known = np.isfinite(rows[:, -1])
        slope = np.zeros(self.size)
        slope[known] = self.slope(self.raw[: self.size][known], rows[known, -1])
        steep = self._steep(slope)
        self.squares += steep * steep
        self.weights -= self.rate * steep / np.sqrt(self.squares)
        self._count(rows[:, self.names :], known)
        self._scale()

    def _steep(self, slope: Array) -> Array:
        """How fast the loss of the block grows with each weight."""
        steep = np.zeros_like(self.weights)
        if self.names:
            places = self.places[: self.size].reshape(-1)
            steep += np.bincount(places, np.repeat(slope, self.names), len(steep))
        steep[: self.numbers] = slope @ self.scaled[: self.size]
        steep[-1] = slope.sum()
        return steep

    def _count(self, rows: Array, known: Array) -> None:
        """Add the numbers and the known targets of a block to the moments."""
        before, mean, spread = self.moments
        rows = np.minimum(np.maximum(rows, mean - self.reach), mean + self.reach)
        rows[~known, -1] = 0
        counts = np.full(len(mean), float(len(rows)))
        counts[-1] = np.count_nonzero(known)
        here = np.add.reduce(rows) / np.maximum(counts, 1)
        beyond, total = rows - here, np.maximum(before + counts, 1)
        beyond[~known, -1] = 0
        away = here - mean
        spread += np.add.reduce(beyond * beyond) + away * away * (before * counts / total)
        mean += away * (counts / total)
        before += counts

    def _scale(self) -> None:
        counts, _, spread = self.moments
        self.deviation = np.sqrt(spread / np.maximum(counts, 1))
        varies = self.deviation > 0
        self.inverse = np.divide(1, self.deviation, out=np.zeros(len(counts)), where=varies)
        self.reach = np.where(varies, WILD * self.deviation, np.inf)

    def learnt(self) -> Mapping[str, Array]:
        weights = np.stack([self.weights, self.squares])
        return {"weights": weights, "moments": self.moments, "error": self.error}

    def relearn(self, arrays: Mapping[str, Array]) -> None:
        self.weights, self.squares = arrays["weights"].reshape(2, -1)
        self.moments, self.error = arrays["moments"].reshape(3, -1), arrays["error"]
        self._scale()
