"""The description of detectors that judge several columns together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import polars as pl
from pydantic import Field

from pydatastream.core.operator import Flow, Names
from pydatastream.core.state import State
from pydatastream.parts.scoring.detector import Detector
from pydatastream.parts.scoring.models import Model, PerKey
from pydatastream.parts.scoring.values import Algorithm, Form
from pydatastream.parts.scoring.waiting import Waiting

CAUSE = "cause"
"""The column that names the one to blame."""


class ColumnsDetector(Detector):
    """A detector that judges several columns together."""

    primary: ClassVar[str | None] = "columns"

    columns: Names = Field(min_length=1)
    """The columns of numbers to judge; a row where one is null, NaN or infinite has no score."""
    max_keys: int = Field(10_000, gt=0)
    """So many keys are remembered, whose models take some 30 to 100 kB each. Of more, those that
    come least are forgotten: one that comes again begins anew."""

    def value_columns(self, given: Flow) -> Sequence[str]:  # noqa: ARG002
        return self.columns

    def reads(self, needed: frozenset[str] | None) -> frozenset[str] | None:
        if needed is None:
            return None
        return needed - self.added().keys() | {*self.columns, *self.by}

    def models(self, form: Form, make: Callable[[int], Model], first: int) -> Algorithm:
        """A model for each key with `first` rows or more; `make` takes the number of columns."""
        per_key = PerKey(form, partial(make, len(form.columns)))
        waiting = Waiting(per_key, first, tuple(self.columns_added()))
        return Named(waiting, form.columns) if CAUSE in self.adds() else waiting


@dataclass(frozen=True, slots=True)
class Named(Algorithm):
    """An algorithm that gives the number of a column, or -1, as `cause`: here, its name."""

    algorithm: Algorithm
    columns: Sequence[str]

    def score(self, values: pl.DataFrame, state: State) -> pl.DataFrame:
        """The same, with names."""
        scored = self.algorithm.score(values, state)
        number = scored[CAUSE].cast(pl.Int64)
        names = pl.Series(CAUSE, self.columns).gather(number.set(number < 0, None))
        return scored.with_columns(names)
