"""How far a row is from the plane, and from the centre, of usual rows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar, NamedTuple

import numpy as np
import polars as pl
from pydantic import Field

from pydatastream.parts.scoring.blocks import BlockModel
from pydatastream.parts.scoring.models import Array
from pydatastream.parts.scoring.multivariate import ColumnsDetector
from pydatastream.parts.scoring.values import Algorithm, Form

LEAST = 1e-12
"""What residuals of rounding come to, when the plane holds all variance of scaled columns."""


class Pca(ColumnsDetector):
    """Score how far each row is from what usually goes together (T2 and Q).

    `t2` (Hotelling's T2) tells how far a row is from the centre within the plane that explains
    most of the variance, `q` (squared prediction error) how far it is beside the plane; 1 is the
    greatest in the rows that the model was made of, and `score` is the greater of the two.
    `cause` is the column that contributes most. Null during the first `fit` rows.
    Each later block of `fit` rows moves mean and covariance by `adapt`; rows that score over
    `limit` are left out of it. With `smooth: 20` it is the moving average of the columns that
    is judged: a small change that lasts is then seen, a single row less.
    State: per key two matrices of columns * columns, and `fit` rows.

    References: Jackson, Mudholkar (1979), Control Procedures for Residuals Associated with
    Principal Component Analysis, Technometrics 21; MacGregor, Kourti (1995), Statistical Process
    Control of Multivariate Processes, section 3 (contributions); Lowry et al. (1992), A
    Multivariate EWMA Control Chart, Technometrics 34 (smoothing).
    """

    example: ClassVar[str] = "- pca: {columns: [temperature, humidity], fit: 100}"

    fit: int = Field(400, gt=1)
    """Rows the model is made of, taken to be mostly usual ones."""
    explains: float = Field(0.85, gt=0, le=1)
    """The share of the variance that the plane holds at least."""
    smooth: int = Field(1, gt=0)
    """Span of an exponential moving average of the columns, in rows; 1: none."""
    adapt: float = Field(0.05, ge=0, le=1)
    """The weight of each later block of usual rows; 0: the model stays as it was made."""
    limit: float = Field(1.0, gt=0)
    """Rows that score more are not learnt from."""

    def adds(self) -> Mapping[str, pl.DataType]:
        return {"t2": pl.Float64(), "q": pl.Float64(), "cause": pl.String()}

    def algorithm(self, form: Form) -> Algorithm:
        chart = partial(Chart, self.fit, self.explains, self.adapt, self.limit, self.smooth)
        return self.models(form, chart, self.fit)


class Plane(NamedTuple):
    """Of scaled rows z: T2 = z' within z, and q = |beside z|^2, each over its expectation."""

    within: Array
    beside: Array


class Chart(BlockModel):
    """Mean, covariance, the plane that follows from them, and the greatest T2 and q of the fit."""

    def __init__(
        self, fit: int, explains: float, adapt: float, limit: float, smooth: int, width: int
    ) -> None:
        super().__init__(fit, width)
        self.explains, self.adapt, self.limit, self.smooth = explains, adapt, limit, smooth
        self.remembers = smooth > 1
        self.last = np.full(width, np.nan)
        self.mean, self.scale = np.zeros(width), np.ones(width)
        self.covariance = np.zeros((width, width))
        self.plane = Plane(np.zeros((width, width)), np.zeros((width, width)))
        self.most = np.ones(2)

    def step(self, values: Array, *, learn: bool) -> Mapping[str, Array]:
        return super().step(self._smoothed(values) if self.smooth > 1 else values, learn=learn)

    def _smoothed(self, values: Array) -> Array:
        known = not np.isnan(self.last).any()
        rows = pl.DataFrame(np.concatenate([self.last[None], values]) if known else values)
        mean = pl.all().ewm_mean(span=self.smooth, adjust=False)
        smoothed = rows.select(mean).to_numpy()[int(known) :]
        self.last = smoothed[-1]
        return smoothed

    def score(self, rows: Array) -> Mapping[str, Array]:
        if not self.blocks:
            nothing = np.full(len(rows), np.nan)
            none = np.full(len(rows), -1)
            return {"score": nothing, "t2": nothing, "q": nothing, "cause": none}
        parts = self._contributions(rows) / self.most[:, None, None]
        t2, q = parts.sum(axis=2)
        cause = (parts[0] + parts[1]).argmax(axis=1)
        return {"score": np.maximum(t2, q), "t2": t2, "q": q, "cause": cause}

    def _contributions(self, rows: Array) -> Array:
        """Each column's part of T2 and of q, shape (2, n, d)."""
        scaled = (rows - self.mean) / self.scale
        beside = scaled @ self.plane.beside
        return np.stack([scaled * (scaled @ self.plane.within), beside * beside])

    def learn_block(self, rows: Array) -> None:
        if not self.blocks:
            self.mean, self.covariance = (
                rows.mean(axis=0),
                np.cov(rows.T, ddof=0).reshape(self.width, self.width),
            )
            self._draw()
            found = self._contributions(self.buffer)[:, : self.size].sum(axis=2)
            self.most = np.maximum(found.max(axis=1), LEAST)
        elif self.adapt:
            self._follow(rows[self.score(self.buffer)["score"][: self.size] <= self.limit])

    def _follow(self, usual: Array) -> None:
        """Move mean and covariance towards those of usual rows, by their share of a block."""
        weight = self.adapt * len(usual) / self.size
        if weight:
            away = usual.mean(axis=0) - self.mean
            beyond = usual - usual.mean(axis=0)
            spread = beyond.T @ beyond / len(usual) + (1 - weight) * np.outer(away, away)
            self.covariance = (1 - weight) * self.covariance + weight * spread
            self.mean = self.mean + weight * away
            self._draw()

    def _draw(self) -> None:
        """The plane, from the covariance; a constant column is judged in its own unit."""
        deviation = np.sqrt(np.diag(self.covariance))
        self.scale = np.where(deviation > 0, deviation, 1.0)
        values, vectors = np.linalg.eigh(self.covariance / np.outer(self.scale, self.scale))
        values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
        enough = np.searchsorted(np.cumsum(values), self.explains * values.sum()) + 1
        rank = int(min(enough, max(self.width - 1, 1)))
        axes, variance = vectors[:, :rank], np.maximum(values[:rank], LEAST)
        rest = max(float(values[rank:].sum()), LEAST)
        within = (axes / variance) @ axes.T / rank
        self.plane = Plane(within, (np.eye(self.width) - axes @ axes.T) / np.sqrt(rest))

    def learnt(self) -> Mapping[str, Array]:
        centre = np.stack([self.last, self.mean, self.scale])
        plane = np.stack([self.covariance, *self.plane])
        return {"centre": centre, "plane": plane, "most": self.most}

    def relearn(self, arrays: Mapping[str, Array]) -> None:
        self.last, self.mean, self.scale = arrays["centre"].reshape(3, self.width)
        self.covariance, *plane = arrays["plane"].reshape(3, self.width, self.width)
        self.plane = Plane(*plane)
        self.most = arrays["most"]
