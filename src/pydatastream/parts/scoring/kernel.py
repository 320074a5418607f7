"""The kernel that guards an algorithm, and puts its columns beside the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import polars as pl

from pydatastream.core.batch import HIDDEN, Emission
from pydatastream.core.operator import Kernel
from pydatastream.core.state import State
from pydatastream.parts.scoring.bounded import Bound
from pydatastream.parts.scoring.values import Algorithm, Form, spread_out
from pydatastream.parts.windows.keyed import refuse_nulls


@dataclass(slots=True)
class AddingKernel(Kernel):
    """Gives each row its columns; where a value is missing, null, and nothing is learnt."""

    form: Form
    algorithm: Algorithm
    columns: Mapping[str, pl.DataType]
    constants: Mapping[str, str]
    prefix: str
    required: list[str]
    state: State
    bound: Bound | None = None
    """How many keys are remembered; None: there are none, or nothing is learnt."""
    forgotten: int = 0

    def on_batch(self, rows: pl.DataFrame, port: int = 0) -> Emission:  # noqa: ARG002
        rows, refused = refuse_nulls(rows, self.required)
        if rows.height:
            found = self._found(self.form.of(rows)).select(self._named())
            yield pl.concat([rows.drop(HIDDEN), found, rows.select(HIDDEN)], how="horizontal")
        yield from refused

    def _named(self) -> list[pl.Expr]:
        columns = [pl.col(name).cast(dtype) for name, dtype in self.columns.items()]
        constants = [pl.lit(text).alias(name) for name, text in self.constants.items()]
        return [one.name.prefix(self.prefix) for one in (*columns, *constants)]

    def _found(self, values: pl.DataFrame) -> pl.DataFrame:
        usable = values.select(self.form.usable().alias("usable"))["usable"]
        if usable.all():
            return self._scored(values)
        if not usable.any():
            return pl.DataFrame(schema=dict(self.columns)).clear(values.height)
        return spread_out(self._scored(values.filter(usable)), usable)

    def _scored(self, values: pl.DataFrame) -> pl.DataFrame:
        """All rows scored, or the state as it was."""
        if self.bound is None:
            return self.algorithm.score(values, self.state)
        before = self.state.snapshot()
        try:
            return pl.concat(map(self._piece, self.bound.pieces(values, self.state)))
        except BaseException:
            self.state.restore(before)
            raise

    def _piece(self, values: pl.DataFrame) -> pl.DataFrame:
        """Rows scored, and their keys noted."""
        found = self.algorithm.score(values, self.state)
        gone = cast(Bound, self.bound).came(values, self.state)
        if gone.height:
            self.algorithm.forget(gone)
            self.forgotten += gone.height
        return found.select(pl.col(name).cast(dtype) for name, dtype in self.columns.items())
