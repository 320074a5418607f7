"""The description of models that predict a column, and then learn from its value."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import polars as pl
from pydantic import Field, model_validator

from pydatastream.core.operator import Flow, Names
from pydatastream.parts.scoring.detector import Detector
from pydatastream.parts.scoring.values import LARGEST, Form, known
from pydatastream.parts.windows.keyed import EVERYTHING


class Learner(Detector):
    """A step that predicts a column from others, and then learns from what it was.

    The value of the row itself is not looked at before it is predicted, and counts from the end
    of its block on. A row where it is missing is predicted, and not learnt from.
    """

    primary: ClassVar[str | None] = "target"

    target: str
    """The column to predict."""
    columns: Names = Field(default_factory=list)
    """The columns of numbers to predict it from; they are centred and scaled on the way."""
    categories: Names = Field(default_factory=list)
    """Columns whose values are names; each has a weight of its own."""
    buckets: int = Field(256, gt=0, le=1 << 20)
    """So many weights for names; names that fall on the same one share it."""
    block: int = Field(128, gt=0)
    """Rows that are learnt from together: fewer learn sooner, more are faster."""
    rate: float = Field(0.3, gt=0)
    """How far a weight moves at first; the more it has moved, the less it does."""
    log: bool = False
    """Take sign(x) ln(1 + |x|) of the numbers first: for counts and sizes without bound."""

    @model_validator(mode="after")
    def _from_others(self) -> Self:
        others = [*self.columns, *self.categories]
        if not others:
            raise ValueError("give `columns` of numbers, or `categories`, to predict from")
        if self.target in others:
            raise ValueError(f"{self.target!r} cannot be predicted from itself")
        return self

    def value_columns(self, given: Flow) -> Sequence[str]:  # noqa: ARG002
        return [*self.categories, *self.columns, self.target]

    def number_columns(self, given: Flow) -> Sequence[str]:  # noqa: ARG002
        return [*self.columns, self.target]

    def reads(self, needed: frozenset[str] | None) -> frozenset[str] | None:
        if needed is None:
            return None
        own = {*self.columns, *self.categories, self.target, *self.by}
        return needed - self.added().keys() | own

    def form(self, given: Flow) -> Form:
        plain = super().form(given)
        names = frozenset(self.categories)
        return LabelledForm(
            plain.by, plain.columns, None, plain.learn, names, self.buckets, self.log
        )


@dataclass(frozen=True, slots=True)
class LabelledForm(Form):
    """Values whose last column is the target, which may be missing, and some of which are names."""

    categories: frozenset[str] = frozenset()
    buckets: int = 1
    log: bool = False

    def of(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The keys and the values as floats; of a name the number of its bucket."""
        values = [
            self._value(rows, column).alias(name)
            for column, name in zip(self.columns, self.values, strict=True)
        ]
        return rows.select(*(self.by or (EVERYTHING,)), *values)

    def _value(self, rows: pl.DataFrame, column: str) -> pl.Expr:
        if column in self.categories:
            return pl.lit(self._bucket(rows[column]))
        value = pl.col(column).cast(pl.Float64)
        if column == self.columns[-1]:
            return pl.when(value.abs() <= LARGEST).then(value)
        return value.sign() * value.abs().log1p() if self.log else value

    def usable(self) -> pl.Expr:
        """Whether nothing but the target is missing."""
        return pl.all_horizontal(*map(known, self.values[:-1]))

    def _bucket(self, names: pl.Series) -> pl.Series:
        """The bucket of each name, the same in every process; a missing name is one, too."""
        texts = names.cast(pl.String).fill_null("\0")
        kinds = texts.unique()
        found = [
            zlib.crc32(f"{names.name}={kind}".encode()) % self.buckets for kind in kinds.to_list()
        ]
        return texts.replace_strict(kinds, found, return_dtype=pl.Float64)
