"""A window that grows while nothing changes, and drops its old part when something has."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl
from pydantic import Field

from pydatastream.parts.scoring.across import (
    AcrossKeys,
    Memory,
    Models,
    Runs,
    longer,
    widened,
)
from pydatastream.parts.scoring.detector import ColumnDetector
from pydatastream.parts.scoring.models import Array
from pydatastream.parts.scoring.values import Algorithm, Form

PER_LEVEL = 5
"""Buckets of one size before the two oldest become one of twice the size, as in the paper."""
ROOM = 8
"""There is room for so many buckets more whenever there is not enough."""
BUCKETS = ("level", "total", "squares")
SAID = ("score", "width")


class Adwin(ColumnDetector):
    """Score how far the newer part of an adaptive window is from its older part.

    The window is kept in buckets that double in size with age. After every `every` rows of a
    key all cuts between two buckets are tried: `score` is the greatest difference of the two
    means, in units of what chance allows; above 1 something has changed, and the oldest buckets
    are dropped until it no longer is. Adds `score` (until the next trial), `drift` (true where
    something was dropped) and `width`, the rows in the window's buckets.
    State: per key a logarithmic number of buckets.

    References: Bifet, Gavalda (2007), Learning from Time-Changing Data with Adaptive Windowing,
    SDM, ADWIN2 with the bound of section 4.
    """

    example: ClassVar[str] = "- adwin: {column: temperature, by: [device_id], span: 40}"

    confidence: float = Field(0.002, gt=0, lt=1)
    """The chance of a false alarm at one trial."""
    span: float = Field(1.0, gt=0)
    """How far apart values can be; the paper has them between 0 and 1."""
    every: int = Field(32, ge=1)
    """Rows of a key between two trials."""

    def adds(self) -> Mapping[str, pl.DataType]:
        return {"drift": pl.Boolean(), "width": pl.Int64()}

    def algorithm(self, form: Form) -> Algorithm:
        return AcrossKeys(form, Windows(self.confidence, self.span, self.every))


@dataclass(slots=True)
class Buckets:
    """The buckets of k keys, (k, room) each, oldest first, the last place empty."""

    level: Array
    """1 for those of one block, 2 for those of two, 3 of four, ...; 0: none."""
    total: Array
    squares: Array
    """About the mean of the bucket."""

    @property
    def arrays(self) -> list[Array]:
        """The three."""
        return [self.level, self.total, self.squares]

    @property
    def counts(self) -> Array:
        """How many buckets each key has."""
        return np.asarray(np.count_nonzero(self.level, axis=1))

    def of(self, keys: Array) -> Buckets:
        """A copy, of some of the keys."""
        return Buckets(*(one[keys] for one in self.arrays))

    def put(self, keys: Array, others: Buckets) -> None:
        """Have what others have, of these keys."""
        for mine, theirs in zip(self.arrays, others.arrays, strict=True):
            mine[keys] = theirs

    def add(self, blocks: Array) -> None:
        """A bucket of one block, (k, every), for each key; full levels are joined."""
        rows, at, every = np.arange(len(blocks)), self.counts, blocks.shape[1]
        total = blocks.sum(axis=1)
        self.level[rows, at], self.total[rows, at] = 1, total
        self.squares[rows, at] = ((blocks - (total / every)[:, None]) ** 2).sum(axis=1)
        for level in itertools.count(1):
            same = self.level[rows] == level
            full = np.count_nonzero(same, axis=1) > PER_LEVEL
            rows = rows[full]
            if not len(rows):
                break
            self._join(rows, np.argmax(same[full], axis=1), every << (level - 1))

    def _join(self, rows: Array, at: Array, size: int) -> None:
        """Make one of the buckets at `at` and behind it, of `size` values each."""
        one, other = self.total[rows, at], self.total[rows, at + 1]
        self.level[rows, at] += 1
        self.total[rows, at] += other
        more = self.squares[rows, at + 1] + (one - other) ** 2 / (2 * size)
        self.squares[rows, at] += more
        self.drop(rows, at + 1)

    def drop(self, rows: Array, at: Array) -> None:
        """Take one bucket of each of these keys out."""
        place = np.arange(self.level.shape[1])
        moved = np.minimum(place + (place >= at[:, None]), place[-1])
        for one in self.arrays:
            one[rows] = np.take_along_axis(one[rows], moved, axis=1)


@dataclass(frozen=True, slots=True)
class Windows(Models):
    """The window of each key: buckets, the values that do not make one yet, the last verdict."""

    confidence: float
    span: float
    every: int

    def fresh(self, keys: int) -> Memory:
        filled, width = np.zeros((2, keys), np.int64)
        said = {"score": np.zeros(keys), "width": width}
        buckets = {name: np.zeros((keys, ROOM)) for name in BUCKETS}
        return {**said, "filled": filled, "block": np.zeros((keys, self.every)), **buckets}

    def follow(self, memory: Memory, runs: Runs, *, learn: bool) -> Mapping[str, Array]:
        """The verdict of the last trial, for each row."""
        trials = (memory["filled"] + runs.counts) // self.every * learn
        first = np.cumsum(trials + 1) - trials - 1
        said = {n: np.zeros(int(trials.sum()) + len(trials), memory[n].dtype) for n in SAID}
        after = memory["filled"][runs.keys] + (runs.places + 1) * learn
        for n, one in said.items():
            one[first] = memory[n]
        if learn:
            self._try_all(memory, runs, trials, first, said)
        at = first[runs.keys] + after // self.every * learn
        found = {n: one[at] for n, one in said.items()}
        drift = (found["score"] > 1) & (after % self.every == 0)
        return {**found, "drift": drift & learn}

    def _try_all(
        self, memory: Memory, runs: Runs, trials: Array, first: Array, said: Mapping[str, Array]
    ) -> None:
        """All trials of all keys; those of one number side by side."""
        values, starts = self._with_those_before(memory, runs)
        order, place = np.argsort(-trials, kind="stable"), np.arange(self.every)
        for trial in range(int(trials.max())):
            keys = order[: longer(trials[order], trial)]
            self._try(memory, keys, values[(starts[keys] + trial * self.every)[:, None] + place])
            for n, one in said.items():
                one[first[keys] + trial + 1] = memory[n][keys]
        rest = (starts + trials * self.every)[:, None] + place
        memory["filled"] = (memory["filled"] + runs.counts) % self.every
        within = place < memory["filled"][:, None]
        memory["block"] = np.where(within, values[np.minimum(rest, len(values) - 1)], 0.0)

    def _with_those_before(self, memory: Memory, runs: Runs) -> tuple[Array, Array]:
        """The values of each key behind those that did not make a block, and where they begin."""
        before = memory["filled"]
        starts = runs.starts + np.cumsum(before) - before
        values = np.zeros(len(runs.values) + int(before.sum()))
        place = np.arange(self.every)
        is_old = place < before[:, None]
        values[(starts[:, None] + place)[is_old]] = memory["block"][is_old]
        values[(starts + before)[runs.keys] + runs.places] = runs.values
        return values, starts

    def _try(self, memory: Memory, keys: Array, blocks: Array) -> None:
        """Add a block to the window of each key, and drop its oldest buckets if it changed."""
        every = Buckets(*(memory[name] for name in BUCKETS))
        buckets = every.of(keys)
        if buckets.counts.max() + 2 > buckets.level.shape[1]:
            wide = (buckets.level.shape[1] + ROOM,)
            memory |= {name: widened(memory[name], wide) for name in BUCKETS}
            every = Buckets(*(memory[name] for name in BUCKETS))
            buckets = every.of(keys)
        buckets.add(blocks)
        most = self._most(buckets)
        memory["score"][keys] = most
        changed = np.flatnonzero(most > 1)
        while len(changed):
            buckets.drop(changed, np.zeros(len(changed), np.int64))
            changed = changed[self._most(buckets.of(changed)) > 1]
        every.put(keys, buckets)
        memory["width"][keys] = self._sizes(buckets.level).sum(axis=1)

    def _sizes(self, level: Array) -> Array:
        """How many values are in each bucket."""
        return np.where(level > 0, self.every * 2.0 ** (level - 1), 0.0)

    def _most(self, buckets: Buckets) -> Array:
        """The greatest difference at any cut, in units of the bound; 0 where there is no cut.

        Sums are taken one after the other: empty places behind them change no bit.
        """
        sizes = self._sizes(buckets.level)
        ends, sums = np.cumsum(sizes, axis=1), np.cumsum(buckets.total, axis=1)
        size, total = ends[:, -1:], sums[:, -1:]
        within = np.cumsum(buckets.squares, axis=1)[:, -1:]
        away = sizes * (buckets.total / np.maximum(sizes, 1.0) - total / size) ** 2
        variance = (within + np.cumsum(away, axis=1)[:, -1:]) / size
        is_cut = ends < size
        n0, n1 = np.where(is_cut, ends, 1.0), np.where(is_cut, size - ends, 1.0)
        harmonic = 1 / n0 + 1 / n1
        log = self._logs(size)
        bound = np.sqrt(2 * harmonic * variance * log) + 2 / 3 * self.span * harmonic * log
        apart = np.abs(sums / n0 - (total - sums) / n1) / bound
        most: Array = np.where(is_cut, apart, 0.0).max(axis=1)
        return most

    def _logs(self, size: Array) -> Array:
        """As the standard library has it: that of NumPy differs from machine to machine."""
        sizes = np.maximum(size[:, 0], 2.0).tolist()
        found = {one: math.log(2 * math.log(one) / self.confidence) for one in set(sizes)}
        return np.array([found[one] for one in sizes])[:, None]
