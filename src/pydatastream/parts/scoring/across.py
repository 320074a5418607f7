"""Models in NumPy that take a step for all keys at once: the same result, a pass for many."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from pydatastream.core.state import State
from pydatastream.parts.scoring.models import MODELS, SLOT, Array
from pydatastream.parts.scoring.values import VALUE, Algorithm, Form

KEY, ROW, COUNT = "__key", "__row", "__count"
Memory = dict[str, Array]
"""What is remembered of k keys: arrays by name, shape (k, ...)."""


@dataclass(frozen=True, slots=True)
class Runs:
    """The values of one column, the rows of a key next to each other, the longest key first."""

    values: Array
    counts: Array
    """How many rows each key has, falling."""

    @property
    def starts(self) -> Array:
        """Where the rows of each key begin."""
        return np.asarray(np.cumsum(self.counts) - self.counts)

    @property
    def keys(self) -> Array:
        """The number of each row's key."""
        return np.asarray(np.repeat(np.arange(len(self.counts)), self.counts))

    @property
    def places(self) -> Array:
        """The place of each row among those of its key."""
        return np.asarray(np.arange(len(self.values)) - np.repeat(self.starts, self.counts))


def longer(counts: Array, than: int) -> int:
    """How many of falling counts are greater."""
    return int(np.searchsorted(-counts, -than, side="left"))


class Models(ABC):
    """An algorithm on the arrays of all keys; it knows nothing of frames and batches."""

    @abstractmethod
    def fresh(self, keys: int) -> Memory:
        """What is known of keys before any row."""

    @abstractmethod
    def follow(self, memory: Memory, runs: Runs, *, learn: bool) -> Mapping[str, Array]:
        """What is found for each row by those before it; `memory` is changed as they teach.

        An array may be replaced by a wider one. NaN: nothing. The bits must not depend on how
        the rows of a key are divided among calls, nor on what other keys there are.
        """


@dataclass(frozen=True, slots=True)
class AcrossKeys(Algorithm):
    """State: `models`, a row per key with an array per column."""

    form: Form
    models: Models

    def score(self, values: pl.DataFrame, state: State) -> pl.DataFrame:
        """What the models find, all keys side by side."""
        known = state.frame(MODELS)
        rows = self._together(values)
        keys = rows.filter(pl.col(KEY) != pl.col(KEY).shift(1).fill_null(-1))
        keys = self._with_slots(keys.select(*self.form.keys, COUNT), known)
        memory = self._memory(keys[SLOT], known)
        runs = Runs(rows[VALUE].to_numpy(), keys[COUNT].to_numpy())
        found = self.models.follow(memory, runs, learn=self.form.learn)
        if self.form.learn:
            self._put(state, known, keys, memory)
        order = np.argsort(rows[ROW].to_numpy())
        return pl.DataFrame({n: one[order] for n, one in found.items()}, nan_to_null=True)

    def _together(self, values: pl.DataFrame) -> pl.DataFrame:
        row = pl.int_range(pl.len()).alias(ROW)
        first = pl.col(ROW).min().over(self.form.keys).alias(KEY)
        count = pl.len().over(self.form.keys).cast(pl.Int64).alias(COUNT)
        rows = values.with_columns(row).with_columns(first, count)
        return rows.sort(COUNT, KEY, descending=[True, False], maintain_order=True)

    def _with_slots(self, keys: pl.DataFrame, known: pl.DataFrame | None) -> pl.DataFrame:
        """The keys, with the row that each has among those known."""
        if known is None:
            return keys.with_columns(pl.lit(None, pl.UInt32).alias(SLOT))
        slots = known.select(self.form.keys).with_row_index(SLOT)
        by = self.form.keys
        return keys.join(slots, on=by, how="left", nulls_equal=True, maintain_order="left")

    def _memory(self, slots: pl.Series, known: pl.DataFrame | None) -> Memory:
        memory = self.models.fresh(slots.len())
        old, here = slots.drop_nulls().to_numpy(), slots.is_not_null().to_numpy()
        for name, fresh in memory.items():
            if known is not None:
                stored = known[name].to_numpy()
                memory[name] = fresh = widened(fresh, stored.shape[1:])
                fresh[here] = stored[old]
        return memory

    def _put(
        self, state: State, known: pl.DataFrame | None, keys: pl.DataFrame, memory: Memory
    ) -> None:
        columns = [pl.Series(name, one) for name, one in memory.items()]
        now = keys.select(self.form.keys).with_columns(columns)
        if known is not None:
            touched = keys[SLOT].drop_nulls().implode()
            others = known.with_row_index(SLOT).filter(~pl.col(SLOT).is_in(touched)).drop(SLOT)
            wide = {
                name: widened(others[name].to_numpy(), one.shape[1:])
                for name, one in memory.items()
                if now.schema[name] != others.schema[name]
            }
            now = pl.concat([others.with_columns(**wide), now])
        state.put(MODELS, now)


def widened(array: Array, shape: tuple[int, ...]) -> Array:
    """An array whose rows have at least this shape, with zeros behind what was there."""
    more = [max(0, size - had) for size, had in zip(shape, array.shape[1:], strict=True)]
    return np.pad(array, [(0, 0), *((0, one) for one in more)]) if any(more) else array
