"""Which of k clusters a row is nearest to, and how far from it for one of its own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar

import numpy as np
from pydantic import Field

from pydatastream.parts.scoring.chance import Chance
from pydatastream.parts.scoring.clusters import (
    ClusterFilter,
    ScaledModel,
    squared_distances,
    sums_by,
)
from pydatastream.parts.scoring.models import Array
from pydatastream.parts.scoring.values import Algorithm, Form

STARTS, ROUNDS = 4, 10
"""So often the first window is divided anew, in so many rounds; the closest division is taken."""

LEAST, TINY = 1e-12, 1e-300
"""What squared distances of rounding come to; and no weight at all."""


class KMeans(ClusterFilter):
    """Find k clusters on the way, and label, keep or drop the rows near their centres.

    Adds `cluster`, the number of the nearest centre, and `score`, the distance to it over the
    usual one of its rows (root of the mean square); null during the first `window` rows. Each
    window moves the centres to the mean of all their rows, of which `forget` makes the newer
    ones count more.
    State: per key k centres and one window of rows.

    References: Sculley (2010), Web-Scale K-Means Clustering, WWW; Arthur, Vassilvitskii (2007),
    k-means++: The Advantages of Careful Seeding, SODA (the start).
    """

    example: ClassVar[str] = "- kmeans: {columns: [temperature, humidity], clusters: 3, window: 50}"

    clusters: int = Field(8, gt=0, le=1000)
    """How many centres."""
    forget: float = Field(0.0, ge=0, lt=1)
    """The share of the weight of the past that is forgotten at each window."""

    def algorithm(self, form: Form) -> Algorithm:
        make = partial(Centres, self.clusters, self.window, self.forget, self.seed)
        return self.models(form, make, self.window)


class Centres(ScaledModel):
    """Centres, and of the rows each of them had: how many, and their mean squared distance."""

    def __init__(self, count: int, window: int, forget: float, seed: int, width: int) -> None:
        super().__init__(window, width)
        self.keeps, self.seed = 1 - forget, seed
        self.centres = np.zeros((count, width))
        self.weight, self.spread = np.zeros(count), np.zeros(count)

    def score(self, rows: Array) -> Mapping[str, Array]:
        if not self.blocks:
            return self.nothing(rows)
        nearest, squared = closest(self.scaled(rows), self.centres)
        usual = np.where(self.spread > LEAST, self.spread, self._spread_of_all())[nearest]
        return {"score": np.sqrt(squared / np.maximum(usual, LEAST)), "cluster": nearest}

    def _spread_of_all(self) -> float:
        return float(self.weight @ self.spread / max(self.weight.sum(), 1))

    def learn_block(self, rows: Array) -> None:
        if not self.blocks:
            self.measure(rows)
            self.centres = started(self.scaled(rows), len(self.centres), Chance(self.seed))
        scaled = self.scaled(rows)
        nearest, squared = closest(scaled, self.centres)
        count = np.bincount(nearest, minlength=len(self.centres)).astype(np.float64)
        self.weight = self.weight * self.keeps + count
        total = np.maximum(self.weight, TINY)
        sums = sums_by(nearest, scaled, len(count))
        self.centres = self.centres + (sums - count[:, None] * self.centres) / total[:, None]
        found = np.bincount(nearest, squared, len(count))
        self.spread = self.spread + (found - count * self.spread) / total

    def learnt(self) -> Mapping[str, Array]:
        rows = np.stack([self.weight, self.spread])
        return {"scale": self.scale, "centres": self.centres, "rows": rows}

    def relearn(self, arrays: Mapping[str, Array]) -> None:
        self.scale = arrays["scale"].reshape(2, -1)
        self.centres = arrays["centres"].reshape(-1, self.width)
        self.weight, self.spread = arrays["rows"].reshape(2, -1)


def closest(rows: Array, centres: Array) -> tuple[Array, Array]:
    """For each row the number of the nearest centre, and the squared distance to it."""
    squared = squared_distances(rows, centres)
    return squared.argmin(axis=1), squared.min(axis=1)


def started(rows: Array, count: int, chance: Chance) -> Array:
    """Centres of a window: the closest of several divisions."""
    tries = [settled(rows, seeded(rows, count, chance)) for _ in range(STARTS)]
    return min(tries, key=lambda centres: float(closest(rows, centres)[1].sum()))


def seeded(rows: Array, count: int, chance: Chance) -> Array:
    """Rows chosen as centres, likelier the farther they are from those before (k-means++)."""
    chosen = [rows[int(chance.below(len(rows), 1)[0])]]
    for _ in range(count - 1):
        weight = np.cumsum(closest(rows, np.array(chosen))[1])
        at = np.searchsorted(weight, chance.uniform(1)[0] * weight[-1], side="right")
        chosen.append(rows[min(int(at), len(rows) - 1)])
    return np.array(chosen)


def settled(rows: Array, centres: Array) -> Array:
    """Centres moved to the mean of their rows, again and again (Lloyd's algorithm)."""
    for _ in range(ROUNDS):
        nearest, _ = closest(rows, centres)
        count = np.bincount(nearest, minlength=len(centres))[:, None]
        mean = sums_by(nearest, rows, len(centres)) / np.maximum(count, 1)
        centres = np.where(count > 0, mean, centres)
    return centres
