"""Models in NumPy, one per key: arrays in, scores out, and arrays to remember."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from pydatastream.core.state import State
from pydatastream.parts.scoring.values import Algorithm, Form

Array = npt.NDArray[Any]
MODELS = "models"
ROW, SLOT = "__row", "__slot"


class Model(ABC):
    """An algorithm on arrays; it knows nothing of frames, keys and batches."""

    remembers: bool = False
    """Whether it follows the rows even when it does not learn, as a moving average does."""

    @abstractmethod
    def step(self, values: Array, *, learn: bool) -> Mapping[str, Array]:
        """Score rows, shape (n, d) and finite, each by the rows before it; then learn from them.

        Gives `score` and what explains it, shape (n,) each; NaN: nothing. The bits must not
        depend on how the rows of a key are divided among calls: what is not yet a whole block
        is kept.
        """

    @abstractmethod
    def arrays(self) -> Mapping[str, Array]:
        """All that it remembers; the shape and type of each array never change."""

    @abstractmethod
    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Remember this, from flat arrays that must not be written to."""


@dataclass(frozen=True, slots=True)
class PerKey(Algorithm):
    """One model for each key. State: `models`, a row per key with an array per column.

    Cost per batch grows with the keys: some 20 us for each that has rows in it.
    """

    form: Form
    make: Callable[[], Model]

    def score(self, values: pl.DataFrame, state: State) -> pl.DataFrame:
        """The scores of all keys' models."""
        known = state.frame(MODELS)
        groups = list(self._groups(values, known))
        models = [self._model(known, slot) for _, slot, _ in groups]
        found = [
            model.step(matrix, learn=self.form.learn)
            for model, (_, _, matrix) in zip(models, groups, strict=True)
        ]
        if self.form.learn or models[0].remembers:
            keys = [key for key, _, _ in groups]
            state.put(MODELS, self._stored(known, pl.concat(keys), models))
        return _together([key[ROW].to_numpy() for key, _, _ in groups], found)

    def _groups(
        self, values: pl.DataFrame, known: pl.DataFrame | None
    ) -> Iterator[tuple[pl.DataFrame, int | None, Array]]:
        """Of each key: its rows without values, the place of its model, and its values."""
        rows = values.with_row_index(ROW)
        if known is None:
            rows = rows.with_columns(pl.lit(None, pl.UInt32).alias(SLOT))
        else:
            slots = known.select(self.form.keys).with_row_index(SLOT)
            rows = rows.join(
                slots, on=self.form.keys, how="left", nulls_equal=True, maintain_order="left"
            )
        for group in rows.partition_by(self.form.keys, maintain_order=True):
            matrix = group.select(self.form.values).to_numpy()
            yield group.select(*self.form.keys, ROW, SLOT), group.item(0, SLOT), matrix

    def _model(self, known: pl.DataFrame | None, slot: int | None) -> Model:
        model = self.make()
        if known is not None and slot is not None:
            names = [name for name in known.columns if name not in self.form.keys]
            model.restore({name: known[name].slice(slot, 1).to_numpy()[0] for name in names})
        return model

    def _stored(
        self, known: pl.DataFrame | None, rows: pl.DataFrame, models: list[Model]
    ) -> pl.DataFrame:
        keys = rows.unique(self.form.keys, maintain_order=True, keep="first")
        arrays = [model.arrays() for model in models]
        columns = [
            pl.Series(name, np.stack([one[name].reshape(-1) for one in arrays]))
            for name in arrays[0]
        ]
        new = keys.select(self.form.keys).with_columns(columns)
        if known is None:
            return new
        touched = keys[SLOT].drop_nulls()
        return pl.concat(
            [
                known.with_row_index(SLOT)
                .filter(~pl.col(SLOT).is_in(touched.implode()))
                .drop(SLOT),
                new,
            ]
        )


def _together(rows: list[Array], found: list[Mapping[str, Array]]) -> pl.DataFrame:
    """The columns of all groups in the order in which the rows came."""
    order = np.argsort(np.concatenate(rows))
    return pl.DataFrame(
        {name: np.concatenate([one[name] for one in found])[order] for name in found[0]},
        nan_to_null=True,
    )
