"""Run your own Python function on whole batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import polars as pl
from pydantic import Field

from pydatastream.core.batch import CLOCK, Emission
from pydatastream.core.errors import RowError, SchemaError
from pydatastream.core.functions import Function, call, check_call, find, function_name
from pydatastream.core.operator import Flow, Functions, Kernel, Operator
from pydatastream.core.state import State
from pydatastream.core.types import Columns, schema_text, type_of


class Map(Operator):
    """Run your own Python function on whole batches: DataFrame in, DataFrame out.

    The function takes a Polars DataFrame and may drop, add or change rows and columns. It sees a
    batch at a time, and where batches are cut is not defined: treat each row by itself, or the
    result may differ from run to run. It must not change the order of rows while keeping their
    number. For a batch with late rows it may be called again on parts. It may be called with no
    rows, to learn what columns it gives, unless `schema` says so.

    A batch on which it raises, or gives something else than planned, is halved until the rows at
    fault are found; they become dead letters.
    """

    remembers: ClassVar[bool] = False
    primary: ClassVar[str | None] = "function"
    spread: ClassVar[str | None] = "args"
    example: ClassVar[str] = "- map: my_function"

    function: Function
    """The function, or the name of one in the pipeline's `functions:` files."""
    args: dict[str, Any] = Field(default_factory=dict)
    """Further arguments, by name."""
    columns: Columns | None = Field(None, alias="schema")
    """The columns it gives and their types; without it, it is tried once on no rows."""

    def bind(self, functions: Functions) -> Self:
        return self.model_copy(update={"function": find(self.function, functions)})

    def flow(self, *inputs: Flow) -> Flow:
        function = find(self.function, {})
        check_call(function, self.args)
        return inputs[0].keeping(self._declared() or self._tried(function, inputs[0].schema))

    def open(self, state: State, *inputs: Flow) -> Kernel:  # noqa: ARG002
        return _Map(find(self.function, {}), self.args, self.flow(*inputs).schema)

    def _declared(self) -> pl.Schema | None:
        if self.columns is None:
            return None
        return pl.Schema({name: type_of(word) for name, word in self.columns.items()})

    def _tried(self, function: Callable[..., Any], schema: pl.Schema) -> pl.Schema:
        try:
            return _frame(function, call(function, pl.DataFrame(schema=schema), self.args)).schema
        except RowError as error:
            raise SchemaError(
                f"{error.what}, when tried on no rows",
                hint="declare its columns: `schema: {column: type}`",
            ) from None


class _Map(Kernel):
    def __init__(
        self, function: Callable[..., Any], args: Mapping[str, Any], schema: pl.Schema
    ) -> None:
        self._function, self._args, self._schema = function, args, schema

    def on_batch(self, rows: pl.DataFrame, port: int = 0) -> Emission:  # noqa: ARG002
        if CLOCK in rows.columns:
            yield self._with_clock(rows)
        else:
            yield self._made(rows)

    def _with_clock(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Each row keeps its clock; where their number changes, one clock at a time."""
        made = self._made(rows.drop(CLOCK))
        if made.height == rows.height:
            return made.with_columns(rows[CLOCK])
        runs = rows.group_by(pl.col(CLOCK).rle_id().alias("run"), maintain_order=True)
        return pl.concat([self._one_clock(run) for _, run in runs])

    def _one_clock(self, rows: pl.DataFrame) -> pl.DataFrame:
        clock = pl.lit(rows[CLOCK][0], pl.Int64).alias(CLOCK)
        return self._made(rows.drop(CLOCK)).with_columns(clock)

    def _made(self, rows: pl.DataFrame) -> pl.DataFrame:
        # The clone guards the batch against functions that change their frame in place.
        made = _frame(self._function, call(self._function, rows.clone(), self._args))
        return made if made.schema == self._schema else self._fitted(made)

    def _fitted(self, made: pl.DataFrame) -> pl.DataFrame:
        """Another order of columns fits, and a column of nothing but nulls."""
        loose = {name for name, dtype in made.schema.items() if dtype == pl.Null}
        same = all(
            made.schema.get(name) == of or name in loose for name, of in self._schema.items()
        )
        if not same or made.width != len(self._schema):
            raise RowError(
                f"function {function_name(self._function)!r} returned columns "
                f"({schema_text(made.schema)}), the plan has ({schema_text(self._schema)})"
            )
        return made.select(pl.col(name).cast(dtype) for name, dtype in self._schema.items())


def _frame(function: Callable[..., Any], made: Any) -> pl.DataFrame:
    if isinstance(made, pl.DataFrame):
        return made
    tip = "; end it with .collect()" if isinstance(made, pl.LazyFrame) else ""
    what = "nothing" if made is None else f"a {type(made).__name__}"
    raise RowError(f"function {function_name(function)!r} returned {what}, not a DataFrame{tip}")
