"""The description that steps share which add columns row by row: detectors, and smoothers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
from pydantic import Field

from pydatastream.core.errors import SchemaError
from pydatastream.core.operator import Flow, Kernel, Names, Operator
from pydatastream.core.state import State
from pydatastream.core.types import need, type_name
from pydatastream.parts.scoring.bounded import Bound
from pydatastream.parts.scoring.kernel import AddingKernel
from pydatastream.parts.scoring.saving import VERSION, begin_with
from pydatastream.parts.scoring.single import OneByOne
from pydatastream.parts.scoring.values import Algorithm, Form
from pydatastream.parts.windows.keyed import Nulls

SCORE = "score"
NOT_OPTIONS_OF_A_MODEL = {"learn", "prefix", "version", "nulls", "start_from", "max_keys"}


class Adding(Operator):
    """A step that adds columns to each row, from the rows of its key so far.

    A subclass says which columns it reads (`value_columns`), which it adds (`columns_added`)
    and how it finds them (`algorithm`). Keys, null, NaN and names are done here and in the
    kernel, once for all.
    """

    timed: ClassVar[bool] = False
    """Whether it looks at event time."""
    named: ClassVar[Sequence[str]] = ()
    """Columns that hold the same text on every row, by name without prefix."""

    by: Names = Field(default_factory=list)
    """Columns that make the key: each key goes by its own past; without any, all rows together."""
    prefix: str = ""
    """Put before the names of the added columns, so that several such steps fit in a pipeline."""
    nulls: Nulls = "refuse"
    """Rows with null in a key: refuse them (they become dead letters) or keep them."""
    max_keys: int = Field(1_000_000, gt=0)
    """So many keys are remembered. Of more, those that come least are forgotten: one that comes
    again begins anew."""

    def value_columns(self, given: Flow) -> Sequence[str]:
        """The columns of numbers to look at, in order."""
        raise NotImplementedError

    def number_columns(self, given: Flow) -> Sequence[str]:
        """Those of them that must be numbers."""
        return self.value_columns(given)

    def columns_added(self) -> Mapping[str, pl.DataType]:
        """The columns it adds, by name without prefix."""
        raise NotImplementedError

    def algorithm(self, form: Form) -> Algorithm:
        """How they are found."""
        raise NotImplementedError

    def learns(self) -> bool:
        """Whether rows change what it remembers."""
        return True

    def constants(self, state: State) -> Mapping[str, str]:  # noqa: ARG002
        """What is in the columns `named`, on every row."""
        return {}

    def added(self) -> dict[str, pl.DataType]:
        """All added columns, by their name in the output."""
        columns = {**self.columns_added(), **dict.fromkeys(self.named, pl.String())}
        return {f"{self.prefix}{name}": dtype for name, dtype in columns.items()}

    def flow(self, *inputs: Flow) -> Flow:
        given = inputs[0]
        values = self.value_columns(given)
        need(given.schema, *self.by, *values)
        if not values:
            raise SchemaError("there is no column of numbers to look at")
        for name in self.number_columns(given):
            _check_number(name, given.schema[name])
        if self.timed:
            given.event_time()
        for name in self.added():
            if name in given.schema:
                raise SchemaError(f"there is a column {name!r} already", hint="give a `prefix`")
        return Flow(pl.Schema({**given.schema, **self.added()}), given.time)

    def form(self, given: Flow) -> Form:
        """What is looked at."""
        columns = tuple(self.value_columns(given))
        time = given.event_time() if self.timed else None
        return Form(tuple(self.by), columns, time, self.learns())

    def open(self, state: State, *inputs: Flow) -> Kernel:
        form = self.form(inputs[0])
        required = self.by if self.nulls == "refuse" else []
        return AddingKernel(
            form,
            self.algorithm(form),
            self.columns_added(),
            self.constants(state),
            self.prefix,
            required,
            state,
            Bound(form.by, self.max_keys) if form.by and form.learn else None,
        )


class Detector(Adding):
    """A step that adds to each row how odd it is, and learns from it afterwards.

    A subclass says with what it explains the score (`adds`), and how it scores.
    """

    named: ClassVar[Sequence[str]] = (VERSION,)

    learn: bool = True
    """false freezes what has been learnt: rows are scored and change nothing."""
    version: str | None = None
    """The name of the model, written beside every score; without one, a digest of its options,
    or of the file it started from."""
    start_from: Path | None = None
    """A model to begin with: a .safetensors file that `pds state save` wrote."""

    def adds(self) -> Mapping[str, pl.DataType]:
        """The columns that explain the score, by name without prefix."""
        return {}

    def columns_added(self) -> Mapping[str, pl.DataType]:
        return {SCORE: pl.Float64(), **self.adds()}

    def learns(self) -> bool:
        return self.learn

    def made_by(self) -> dict[str, Any]:
        """What makes the model: the type, and the options that count."""
        options = {k: v for k, v in self.options().items() if k not in NOT_OPTIONS_OF_A_MODEL}
        return {"type": self.type_name(), **options}

    def model_version(self, state: State) -> str:
        """What is written in the column `version`."""
        text = json.dumps(self.made_by(), sort_keys=True).encode()
        digest = f"{self.type_name()}-{hashlib.blake2b(text, digest_size=4).hexdigest()}"
        return self.version or str(state.values.get(VERSION, digest))

    def one_by_one(self, time: str | None = None) -> OneByOne:
        """The detector by itself, with River's verbs: `learn_one`, `score_one`, `predict_one`.

        `time` is the column of event time, for detectors that look at it.
        """
        return OneByOne(self, time)

    def constants(self, state: State) -> Mapping[str, str]:
        return {VERSION: self.model_version(state)}

    def check(self) -> None:
        if self.start_from is not None:
            begin_with(self.start_from, State(), self.made_by())

    def open(self, state: State, *inputs: Flow) -> Kernel:
        if self.start_from is not None and not state.names() and not state.values:
            begin_with(self.start_from, state, self.made_by())
        return super().open(state, *inputs)


class OneColumn(Adding):
    """A step that looks at one column."""

    primary: ClassVar[str | None] = "column"

    column: str
    """The column of numbers to look at; rows where it is null, NaN or infinite get null."""

    def value_columns(self, given: Flow) -> Sequence[str]:  # noqa: ARG002
        return [self.column]

    def reads(self, needed: frozenset[str] | None) -> frozenset[str] | None:
        if needed is None:
            return None
        return needed - self.added().keys() | {self.column, *self.by}


class ColumnDetector(OneColumn, Detector):
    """A detector that judges one column."""


def _check_number(name: str, dtype: pl.DataType) -> None:
    if not dtype.is_numeric() and dtype != pl.Boolean:
        raise SchemaError(
            f"column {name!r} holds {type_name(dtype)}, and numbers are needed",
            hint="a cast, or another column",
        )
