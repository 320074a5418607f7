"""Forecasts from a level, a trend and a season."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import polars as pl
from pydantic import Field

from pydatastream.parts.scoring.across import AcrossKeys, Memory, Models, Runs, longer
from pydatastream.parts.scoring.detector import OneColumn
from pydatastream.parts.scoring.models import Array
from pydatastream.parts.scoring.values import Algorithm, Form

FEW = 32
"""So many keys at least are worth a pass of NumPy for each row."""


class HoltWinters(OneColumn):
    """Forecast a column from its level, trend and season, which follow the rows.

    Adds `expected`, what was forecast for the row by those before it, and `forecast`, what is
    forecast for the row that comes `ahead` rows later; both are null in the first `season` rows of
    a key, which make the first level (their mean) and season. Level, trend and season add up.
    Rows of a key are taken to be equally far apart: `resample` makes them so.
    State: per key a level, a trend and a season.

    References: Winters (1960), Forecasting Sales by Exponentially Weighted Moving Averages,
    Management Science 6(3); Hyndman, Athanasopoulos (2021), Forecasting: Principles and
    Practice, section 8.3 (additive method).
    """

    example: ClassVar[str] = "- holt_winters: {column: temperature, by: [device_id], season: 24}"

    season: int = Field(1, ge=1)
    """Rows of a season; 1 is for no season."""
    alpha: float = Field(0.3, gt=0, le=1)
    """How fast the level follows."""
    beta: float = Field(0.05, ge=0, le=1)
    """How fast the trend follows; 0 is for no trend."""
    gamma: float = Field(0.1, ge=0, le=1)
    """How fast the season follows."""
    ahead: int = Field(1, ge=1)
    """How many rows ahead the forecast is for."""

    def columns_added(self) -> Mapping[str, pl.DataType]:
        return {"expected": pl.Float64(), "forecast": pl.Float64()}

    def algorithm(self, form: Form) -> Algorithm:
        return AcrossKeys(form, Smoothing(self))


@dataclass(frozen=True, slots=True)
class Smoothing(Models):
    """Level, trend and season of each key, by place in the season; `seen` rows have been learnt.

    While the first season comes, its places hold its values.
    """

    given: HoltWinters

    def fresh(self, keys: int) -> Memory:
        season = np.zeros((keys, self.given.season))
        level, trend = np.zeros((2, keys))
        return {"season": season, "level": level, "trend": trend, "seen": np.zeros(keys, np.int64)}

    def follow(self, memory: Memory, runs: Runs, *, learn: bool) -> Mapping[str, Array]:  # noqa: ARG002
        """Row by row of all keys side by side; when few keys are left, key by key."""
        expected, forecast = np.full((2, len(runs.values)), np.nan)
        starts, row, counts = runs.starts, 0, runs.counts
        while (keys := longer(counts, row)) >= FEW:
            at = starts[:keys] + row
            expected[at], forecast[at] = self._side_by_side(memory, keys, runs.values[at])
            row += 1
        for key in range(keys):
            rest = slice(starts[key] + row, starts[key] + counts[key])
            expected[rest], forecast[rest] = self._alone(memory, key, runs.values[rest])
        return {"expected": expected, "forecast": forecast}

    def _side_by_side(self, memory: Memory, keys: int, values: Array) -> tuple[Array, Array]:
        """One row of each of the first keys."""
        size = self.given.season
        season, level, trend, seen = (one[:keys] for one in memory.values())
        every, at, young = np.arange(keys), seen % size, seen < size
        usual = season[every, at]
        expected, new, newer, part = self._step(values, level, trend, usual)
        season[every, at] = np.where(young, values, part)
        level[:], trend[:] = np.where(young, level, new), np.where(young, trend, newer)
        forecast = level + self.given.ahead * trend + season[every, (at + self.given.ahead) % size]
        seen += 1
        self._begin(memory, np.flatnonzero(young & (seen == size)))
        return np.where(young, np.nan, expected), np.where(young, np.nan, forecast)

    def _alone(self, memory: Memory, key: int, values: Array) -> tuple[Array, Array]:
        """Many rows of one key: a plain loop over numbers is as fast as can be."""
        size, ahead = self.given.season, self.given.ahead
        seen = int(memory["seen"][key])
        first = values[: max(0, size - seen)]
        memory["season"][key, seen : seen + len(first)] = first
        memory["seen"][key] += len(values)
        if len(first) and seen + len(first) == size:
            self._begin(memory, np.array([key]))
        level, trend = memory["level"][key].item(), memory["trend"][key].item()
        season, at = memory["season"][key].tolist(), (seen + len(first)) % size
        found = [(math.nan, math.nan)] * len(first)
        for value in values[len(first) :].tolist():
            expected, level, trend, season[at] = self._step(value, level, trend, season[at])
            found.append((expected, level + ahead * trend + season[(at + ahead) % size]))
            at = at + 1 if at + 1 < size else 0
        memory["level"][key], memory["trend"][key], memory["season"][key] = level, trend, season
        expected, forecast = np.array(found).reshape(-1, 2).T
        return expected, forecast

    def _step(self, value: Any, level: Any, trend: Any, usual: Any) -> tuple[Any, Any, Any, Any]:
        """What was expected, then level, trend and the part of the season: numbers or arrays."""
        given = self.given
        base = level + trend
        part = usual + given.gamma * (value - base - usual) if given.season > 1 else usual
        new = base + given.alpha * (value - usual - base)
        return base + usual, new, trend + given.beta * (new - level - trend), part

    def _begin(self, memory: Memory, keys: Array) -> None:
        """The first season of these keys is whole: its mean is the level."""
        if len(keys):
            first = memory["season"][keys]
            level = np.cumsum(first, axis=1)[:, -1] / self.given.season
            memory["level"][keys] = level
            memory["season"][keys] = first - level[:, None] if self.given.season > 1 else 0.0
