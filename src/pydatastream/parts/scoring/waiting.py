"""Keys that have no model yet: what they are is the few rows they have had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from pydatastream.core.state import State
from pydatastream.parts.scoring.models import MODELS, PerKey
from pydatastream.parts.scoring.values import Algorithm

WAITING, ROW, COUNT = "waiting", "__at", "__rows"
MOST_FRAMES = 64
BEFORE = -1
"""The row number of rows that came in earlier batches."""


@dataclass(frozen=True, slots=True)
class Waiting(Algorithm):
    """One model for each key that has had `first` rows, before which none says anything.

    A model takes many times the room and time of a row: a million keys of few rows each cost
    no more than their rows. State: that of `models`, and `waiting`, the rows of young keys.
    """

    models: PerKey
    first: int
    says: Sequence[str]
    """The columns that the models give."""

    def score(self, values: pl.DataFrame, state: State) -> pl.DataFrame:
        """The scores of all keys that are old enough, null for the others."""
        rows = values.with_columns(pl.int_range(pl.len()).alias(ROW))
        young = self._only(rows, state.frame(MODELS), "anti")
        if not young.height:
            return self.models.score(values, state)
        ripe = self._ripe(young, state) if self.models.form.learn else young.clear()
        old = self._only(rows, young, "anti")
        judged = pl.concat([old, ripe])
        nothing = pl.DataFrame(schema=dict.fromkeys(self.says, pl.Float64))
        scored = self.models.score(judged.drop(ROW), state) if judged.height else nothing
        found = scored.with_columns(judged[ROW]).filter(pl.col(ROW) != BEFORE)
        return rows.select(ROW).join(found, on=ROW, how="left", maintain_order="left").drop(ROW)

    def _ripe(self, young: pl.DataFrame, state: State) -> pl.DataFrame:
        """The rows of keys that have now had enough; those of the others wait."""
        before = state.frame(WAITING)
        before = young.clear() if before is None else before
        every = pl.concat([self._only(before, young, "semi"), young])
        enough = pl.len().over(self.models.form.keys) >= self.first
        every = every.with_columns(enough.alias(COUNT))
        ripe = every.filter(COUNT).drop(COUNT)
        new = every.filter(pl.col(ROW) != BEFORE, ~pl.col(COUNT)).drop(COUNT)
        if ripe.height:
            before = self._only(before, ripe, "anti")
        if ripe.height or len(state.frames(WAITING)) >= MOST_FRAMES:
            state.put(WAITING, before)
        if new.height:
            state.append(WAITING, new.with_columns(pl.lit(BEFORE, pl.Int64).alias(ROW)))
        return ripe

    def _only(self, rows: pl.DataFrame, keys: pl.DataFrame | None, how: str) -> pl.DataFrame:
        """The rows whose key is (semi), or is not (anti), in another frame."""
        if keys is None:
            return rows if how == "anti" else rows.clear()
        by = self.models.form.keys
        there = keys.select(by).unique()
        return rows.join(there, on=by, how=how, nulls_equal=True, maintain_order="left")  # type: ignore[arg-type]
