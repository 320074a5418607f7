"""Which dense region a row lies in, of whatever number and shape they are."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar

import numpy as np
import polars as pl
from pydantic import Field

from pydatastream.parts.scoring.clusters import (
    ClusterFilter,
    ScaledModel,
    squared_distances,
    sums_by,
)
from pydatastream.parts.scoring.models import Array
from pydatastream.parts.scoring.values import Algorithm, Form

PORTION = 16
"""Rows whose pairs are counted together: more of them wake threads that cost more."""
NEWBORN = 1e-9
"""The weight of a micro-cluster before the row that founds it is counted."""


class MicroClusters(ClusterFilter):
    """Find dense regions of any shape, and label, keep or drop the rows in them.

    Rows within `radius` (in deviations of the first window) of a micro-cluster move it and add
    to its weight, others found new ones; weights halve in `half_life` rows, and what weighs
    less than half a row is forgotten. A micro-cluster is dense from a weight of `least`; two
    dense ones belong together if the rows that lie in both outweigh `share` of their mean weight.
    Adds `cluster`, the birth number of the oldest in its region, `score`, the distance to the
    nearest dense micro-cluster in radii (1 = just inside), and `weight`, that of the nearest;
    null during the first `window` rows. Where the paper learns row by row, this does window by
    window: rows that are alone are compared with each other once, at its end.
    State: per key 4 * most + most**2 numbers and one window of rows.

    References: Hahsler, Bolanos (2016), Clustering Data Streams Based on Shared Density between
    Micro-Clusters, IEEE TKDE 28; the fading of Cao et al. (2006), DenStream, SDM.
    """

    example: ClassVar[str] = (
        "- micro_clusters: {columns: [temperature, humidity], radius: 1, window: 50}"
    )

    radius: float = Field(0.5, gt=0)
    """How far a micro-cluster reaches, in deviations of the first window."""
    limit: float = Field(1.0, gt=0)
    """Up to this score a row belongs to its cluster."""
    least: float = Field(3.0, ge=1)
    """The weight, in rows, from which a micro-cluster is dense."""
    share: float = Field(0.1, gt=0, lt=1)
    """How much two dense ones share if they are of one region (alpha in the paper)."""
    half_life: int = Field(5000, gt=0)
    """Rows after which a row weighs half."""
    most: int = Field(100, gt=0, le=1000)
    """How many there may be; a new one takes the place of the lightest."""

    def adds(self) -> Mapping[str, pl.DataType]:
        return {"cluster": pl.Int64(), "weight": pl.Float64()}

    def algorithm(self, form: Form) -> Algorithm:
        fade = 0.5 ** (self.window / self.half_life)
        make = partial(Regions, self.most, self.window, self.radius, self.least, self.share, fade)
        return self.models(form, make, self.window)


class Regions(ScaledModel):
    """Micro-clusters at fixed places: centre, weight, birth, region; and what pairs share."""

    def __init__(
        self,
        most: int,
        window: int,
        radius: float,
        least: float,
        share: float,
        fade: float,
        width: int,
    ) -> None:
        super().__init__(window, width)
        self.radius, self.least, self.share, self.fade = radius, least, share, fade
        self.centres = np.zeros((most, width))
        self.weight, self.birth, self.region = (np.zeros(most) for _ in range(3))
        self.shared = np.zeros((most, most))
        self.born = np.zeros(1)

    def score(self, rows: Array) -> Mapping[str, Array]:
        dense = self.weight >= self.least
        if not dense.any():
            nothing = self.nothing(rows)
            return {**nothing, "weight": nothing["score"]}
        squared = squared_distances(self.scaled(rows), self.centres[dense])
        nearest = squared.argmin(axis=1)
        return {
            "score": np.sqrt(squared.min(axis=1)) / self.radius,
            "cluster": self.region[dense][nearest],
            "weight": self.weight[dense][nearest],
        }

    def learn_block(self, rows: Array) -> None:
        if not self.blocks:
            self.measure(rows)
        scaled = self.scaled(rows)
        self._fade()
        inside = self._inside(scaled)
        self._found(scaled[~inside.any(axis=1)])
        inside = self._inside(scaled)
        self._attract(scaled, inside)
        self._join()

    def _fade(self) -> None:
        """Weigh the past less, and forget what weighs less than half a row."""
        self.weight *= self.fade
        self.shared *= self.fade
        gone = self.weight < 0.5
        self.weight[gone] = 0
        self.shared[gone] = 0
        self.shared[:, gone] = 0

    def _inside(self, scaled: Array) -> Array:
        """Which row lies in which micro-cluster, shape (n, most)."""
        near = squared_distances(scaled, self.centres) <= self.radius**2
        return np.asarray(near & (self.weight > 0))

    def _found(self, alone: Array) -> None:
        """A new micro-cluster for the first row that is alone, and so on with those beyond it."""
        near = squared_distances(alone, alone) <= self.radius**2
        left = np.ones(len(alone), bool)
        for _ in range(len(self.weight)):
            if not left.any():
                break
            row, place = int(left.argmax()), int(self.weight.argmin())
            self.shared[place] = self.shared[:, place] = 0
            self.centres[place], self.weight[place] = alone[row], NEWBORN
            self.birth[place] = self.region[place] = self.born[0]
            self.born += 1
            left &= ~near[row]

    def _attract(self, scaled: Array, inside: Array) -> None:
        """Each row adds to all it lies in, and moves the nearest of them."""
        squared = np.where(inside, squared_distances(scaled, self.centres), np.inf)
        lies = inside.any(axis=1)
        nearest = squared.argmin(axis=1)[lies]
        count = np.bincount(nearest, minlength=len(self.weight)).astype(np.float64)
        mean = sums_by(nearest, scaled[lies], len(count)) / np.maximum(count, 1)[:, None]
        pull = np.divide(count, self.weight + count, out=np.zeros_like(count), where=count > 0)
        self.centres = self.centres + pull[:, None] * (mean - self.centres)
        both = inside.astype(np.float64)
        self.weight += both.sum(axis=0)
        for start in range(0, len(both), PORTION):
            part = both[start : start + PORTION]
            self.shared += part.T @ part

    def _join(self) -> None:
        """Number the regions: dense micro-clusters that share enough, chained."""
        dense = self.weight >= self.least
        mean = (self.weight[:, None] + self.weight) / 2
        linked = (self.shared >= self.share * mean) & dense[:, None] & dense
        joined = self.birth
        while True:
            self.region = joined
            joined = np.minimum(joined, np.where(linked, joined, np.inf).min(axis=1))
            if np.array_equal(joined, self.region):
                break

    def learnt(self) -> Mapping[str, Array]:
        each = np.stack([self.weight, self.birth, self.region])
        arrays = {"scale": self.scale, "centres": self.centres, "each": each}
        return {**arrays, "shared": self.shared, "born": self.born}

    def relearn(self, arrays: Mapping[str, Array]) -> None:
        self.scale = arrays["scale"].reshape(2, -1)
        self.centres = arrays["centres"].reshape(-1, self.width)
        self.weight, self.birth, self.region = arrays["each"].reshape(3, -1)
        self.shared = arrays["shared"].reshape(len(self.weight), -1)
        self.born = arrays["born"]
