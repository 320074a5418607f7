"""Aggregates over the rows just before each row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self

import polars as pl
from pydantic import Field, model_validator
from sqlglot import exp

from pydatastream.core.batch import HIDDEN, Emission
from pydatastream.core.errors import ExpressionError, SchemaError
from pydatastream.core.operator import Flow, Kernel, Operator
from pydatastream.core.state import State
from pydatastream.core.times import Duration, Micros, micros
from pydatastream.core.types import need, type_name
from pydatastream.parts.sql.expressions import columns_of, expression
from pydatastream.parts.sql.grammar import parse
from pydatastream.parts.windows.keyed import ALL, EVERYTHING, Names, Nulls, refuse_nulls
from pydatastream.parts.windows.waiting import Waiting

FUNCTIONS: Mapping[str, str] = {
    "sum": "sum",
    "avg": "mean",
    "mean": "mean",
    "min": "min",
    "max": "max",
    "stddev": "std",
    "std": "std",
    "count": "count",
}
"""What may be asked, and what Polars calls it."""
TAIL, TIME = "tail", "__time"


class Rolled(Operator):
    """What all steps have in common that look back from each row."""

    primary: ClassVar[str | None] = "rows"
    ports: ClassVar[tuple[str, ...]] = ("late",)

    rows: int | None = Field(None, gt=0)
    """So many rows: the row itself and those before it."""
    within: Duration | None = None
    """So much event time, up to the row."""
    by: Names = Field(default_factory=list)
    """Columns that make the key; without any, all rows together."""
    lateness: Duration = "0s"
    """With `within`: how much older than the watermark a row may be."""
    nulls: Nulls = "refuse"
    """Rows with null in a key: refuse them (they become dead letters) or keep them."""

    def asked(self) -> Mapping[str, str]:
        """The columns to add: a name and an aggregate."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.rows is None) == (self.within is None):
            raise ValueError("give either `rows: 10` or `within: 5m`")
        if self.within is not None and micros(self.within) < 1:
            raise ValueError("`within` is at least 1us")
        return self

    def flow(self, *inputs: Flow) -> Flow:
        given = inputs[0]
        need(given.schema, *self.by)
        added = self._added(given)
        for one in added:
            if one.name in given.schema:
                raise SchemaError(f"there is a column {one.name!r} already", hint="another name")
        if self.within is not None:
            given.event_time()
        types = {one.name: one.dtype for one in added}
        return Flow(pl.Schema({**given.schema, **types}), given.time)

    def _added(self, given: Flow) -> list[Added]:
        return [added(name, text, given.schema) for name, text in self.asked().items()]

    def reads(self, needed: frozenset[str] | None) -> frozenset[str] | None:
        if needed is None:
            return None
        asked = self.asked()
        own = frozenset(self.by).union(*map(columns_of, asked.values()))
        return needed - asked.keys() | own

    def lateness_allowed(self) -> Micros | None:
        return None if self.within is None else micros(self.lateness)

    def delay(self) -> Micros:
        return self.lateness_allowed() or 0

    def open(self, state: State, *inputs: Flow) -> Kernel:
        required = self.by if self.nulls == "refuse" else []
        form = Form(tuple(self.by), tuple(self._added(inputs[0])), required)
        if self.rows is not None:
            return RowsKernel(form, self.rows, state)
        waiting = Waiting(inputs[0].event_time(), micros(self.lateness), state)
        return WithinKernel(form, waiting, micros(self.within or ""), state)


class Added(NamedTuple):
    """A column to add: the function, and what it is of."""

    name: str
    function: str
    value: pl.Expr
    dtype: pl.DataType

    @property
    def input(self) -> str:
        """The name of the value's column."""
        return f"__of_{self.name}"


def added(name: str, text: str, schema: pl.Schema) -> Added:
    """A column to add, from its SQL text."""
    call = parse(text).tree
    function = FUNCTIONS.get(call.name.lower()) if isinstance(call, exp.Anonymous) else None
    if function is None or len(call.expressions) != 1 or call.find(exp.Distinct):
        raise ExpressionError(
            f"{name}: {text} cannot be rolled", hint="one of: sum, avg, min, max, stddev, count"
        )
    argument = call.expressions[0]
    if isinstance(argument, exp.Star) and function == "count":
        return Added(name, function, pl.lit(1.0), pl.Int64())
    typed = expression(argument.sql("duckdb"), schema)
    if function != "count" and not typed.dtype.is_numeric():
        raise SchemaError(f"{name}: {text} needs a number, and got {type_name(typed.dtype)}")
    return _numeric(name, function, typed.expr, typed.dtype)


def _numeric(name: str, function: str, value: pl.Expr, dtype: pl.DataType) -> Added:
    if function == "count":
        value = value.fill_nan(None) if dtype.is_float() else value
        return Added(name, function, pl.when(value.is_not_null()).then(1.0), pl.Int64())
    if dtype.is_integer() and function in {"sum", "min", "max"}:
        return Added(name, function, value.cast(pl.Int64), pl.Int64())
    return Added(name, function, value.cast(pl.Float64).fill_nan(None), pl.Float64())


@dataclass(frozen=True, slots=True)
class Form:
    """What both kinds share: keys, columns to add, keys that must not be null."""

    by: tuple[str, ...]
    added: tuple[Added, ...]
    required: list[str]

    @property
    def keys(self) -> list[str]:
        """The key columns; without any, a constant one."""
        return list(self.by) or [ALL]

    def values(self, rows: pl.DataFrame, *more: pl.Expr) -> pl.DataFrame:
        """The keys, `more`, and what is to be aggregated."""
        values = [one.value.alias(one.input) for one in self.added]
        return rows.select(*(self.by or (EVERYTHING,)), *more, *values)

    def over_rows(self, count: int) -> list[pl.Expr]:
        """The columns, each over the last `count` rows of its key."""
        return [self._finished(one, self._by_rows(one, count)) for one in self.added]

    def over_time(self, length: Micros) -> list[pl.Expr]:
        """The columns, each over the last `length` of its key."""
        return [self._finished(one, self._by_time(one, f"{length}us")) for one in self.added]

    def _by_rows(self, one: Added, count: int) -> pl.Expr:
        name = "sum" if one.function == "count" else one.function
        least = {"std": 2}.get(name, 1)
        roll = getattr(pl.col(one.input), f"rolling_{name}")
        rolled: pl.Expr = roll(count, min_samples=min(least, count))
        return rolled

    def _by_time(self, one: Added, length: str) -> pl.Expr:
        name = "sum" if one.function == "count" else one.function
        rolled: pl.Expr = getattr(pl.col(one.input), f"rolling_{name}_by")(TIME, length)
        return rolled

    def _finished(self, one: Added, rolled: pl.Expr) -> pl.Expr:
        column = rolled.over(self.keys)
        if one.function in {"sum", "count"}:
            column = column.fill_null(0)
        return column.cast(one.dtype).alias(one.name)


@dataclass(slots=True)
class RowsKernel(Kernel):
    """State: `tail`, the last rows of each key."""

    form: Form
    count: int
    state: State

    def on_batch(self, rows: pl.DataFrame, port: int = 0) -> Emission:  # noqa: ARG002
        rows, refused = refuse_nulls(rows, self.form.required)
        if rows.height:
            values = pl.concat([*self.state.frames(TAIL), self.form.values(rows)])
            columns = values.select(self.form.over_rows(self.count)).tail(rows.height)
            self._remember(values)
            yield pl.concat([rows.drop(HIDDEN), columns, rows.select(HIDDEN)], how="horizontal")
        yield from refused

    def _remember(self, values: pl.DataFrame) -> None:
        if self.count > 1:
            back = pl.int_range(pl.len(), 0, -1).over(self.form.keys)
            self.state.put(TAIL, values.filter(back < self.count))


@dataclass(slots=True)
class WithinKernel(Kernel):
    """State: rows that wait to be passed; `tail`, what rows to come look back on."""

    form: Form
    waiting: Waiting
    length: Micros
    state: State

    def held(self) -> int:
        return self.waiting.held

    def on_batch(self, rows: pl.DataFrame, port: int = 0) -> Emission:  # noqa: ARG002
        return self.waiting.receive(rows, self.form.required)

    def on_watermark(self, watermark: Micros) -> Emission:
        until = self.waiting.passed(watermark)
        rows = self.waiting.take(until)
        if rows is not None:
            yield self._pass(rows, until)

    def _pass(self, rows: pl.DataFrame, until: Micros) -> pl.DataFrame:
        """Rows in order, with their aggregates."""
        values = self.form.values(rows, self.waiting.time.expr().alias(TIME))
        every = pl.concat([*self.state.frames(TAIL), values])
        columns = every.select(self.form.over_time(self.length)).tail(rows.height)
        self._remember(every.filter(pl.col(TIME).to_physical() > until - self.length))
        return pl.concat([rows, columns], how="horizontal")

    def _remember(self, recent: pl.DataFrame) -> None:
        if recent.height:
            self.state.put(TAIL, recent)
        else:
            self.state.drop(TAIL)
