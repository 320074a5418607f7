"""Run your own Python function on each row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import polars as pl
from polars.exceptions import PolarsError
from pydantic import Field

from pydatastream.core.batch import CLOCK, Emission, Refused
from pydatastream.core.errors import RowError
from pydatastream.core.functions import Function, call, check_call, find, function_name
from pydatastream.core.operator import Flow, Functions, Kernel, Operator
from pydatastream.core.state import State
from pydatastream.core.types import Columns, type_name, type_of

Row = Mapping[str, Any]

UNFIT = (TypeError, ValueError, OverflowError, PolarsError)
"""What making a column of Python values raises when one has another type."""


class MapRows(Operator):
    """Run your own Python function on each row: dict in, dict out. Slow.

    The function gives a dict, None to drop the row, or a list of dicts. A column it leaves out
    is null; one that is not planned, a value of another type and an exception make the row a
    dead letter. Without `schema` the plan has the input's columns.

    Every row becomes Python objects and back: 160,000 rows a second of 7 columns, where `map`, or
    an expression in `with`, does the same sum more than a thousand times faster (measured). Use
    it for prototypes and slow streams.
    """

    remembers: ClassVar[bool] = False
    primary: ClassVar[str | None] = "function"
    spread: ClassVar[str | None] = "args"
    example: ClassVar[str] = "- map_rows: my_function"

    function: Function
    """The function, or the name of one in the pipeline's `functions:` files."""
    args: dict[str, Any] = Field(default_factory=dict)
    """Further arguments, by name."""
    columns: Columns | None = Field(None, alias="schema")
    """The columns it gives and their types; without it, those of the input."""

    def bind(self, functions: Functions) -> Self:
        return self.model_copy(update={"function": find(self.function, functions)})

    def flow(self, *inputs: Flow) -> Flow:
        check_call(find(self.function, {}), self.args)
        if self.columns is None:
            return inputs[0]
        types = {name: type_of(word) for name, word in self.columns.items()}
        return inputs[0].keeping(pl.Schema(types))

    def open(self, state: State, *inputs: Flow) -> Kernel:  # noqa: ARG002
        return _MapRows(find(self.function, {}), self.args, self.flow(*inputs).schema)


class _MapRows(Kernel):
    def __init__(
        self, function: Callable[..., Any], args: Mapping[str, Any], schema: pl.Schema
    ) -> None:
        self._function, self._args, self._schema = function, args, schema
        self._name = f"function {function_name(function)!r}"

    def on_batch(self, rows: pl.DataFrame, port: int = 0) -> Emission:  # noqa: ARG002
        made: dict[int, Sequence[Row]] = {}
        wrong: dict[int, str] = {}
        for number, row in enumerate(rows.drop(CLOCK, strict=False).iter_rows(named=True)):
            try:
                made[number] = self._made(row)
            except RowError as error:
                wrong[number] = error.what
        frame = self._framed(made, wrong)
        yield self._clocked(frame, rows, made) if CLOCK in rows.columns else frame
        for number, why in sorted(wrong.items()):
            yield Refused(rows[number], why)

    def _made(self, row: Row) -> Sequence[Row]:
        """The rows that one row gives; `RowError` if they are none."""
        given = call(self._function, row, self._args)
        made = given if isinstance(given, list) else [] if given is None else [given]
        for one in made:
            if not isinstance(one, Mapping):
                raise RowError(f"{self._name} returned a {type(one).__name__}, not a dict")
            if not self._schema.keys() >= one.keys():
                extra = ", ".join(sorted(map(repr, one.keys() - self._schema.keys())))
                raise RowError(f"{self._name} returned {extra}, which `schema` does not have")
        return made

    def _framed(self, made: dict[int, Sequence[Row]], wrong: dict[int, str]) -> pl.DataFrame:
        """The rows as a frame; those of a type that does not fit move from `made` to `wrong`."""
        try:
            return self._frame([row for given in made.values() for row in given])
        except UNFIT:
            for number, given in list(made.items()):
                if why := self._misfit(given):
                    wrong[number] = why
                    del made[number]
        return self._frame([row for given in made.values() for row in given])

    def _misfit(self, given: Sequence[Row]) -> str | None:
        for name, dtype in self._schema.items():
            for row in given:
                try:
                    pl.Series(name, [row.get(name)], dtype, strict=True)
                except UNFIT:
                    value = f"{row.get(name)!r}"[:80]
                    return f"{self._name} returned {value} for {name}: {type_name(dtype)}"
        return None

    def _frame(self, made: Sequence[Row]) -> pl.DataFrame:
        return pl.DataFrame(
            [
                pl.Series(name, [row.get(name) for row in made], dtype, strict=True)
                for name, dtype in self._schema.items()
            ]
        )

    def _clocked(
        self, frame: pl.DataFrame, rows: pl.DataFrame, made: Mapping[int, Sequence[Row]]
    ) -> pl.DataFrame:
        """Each row with the clock of the one it was made from."""
        origins = [number for number, given in made.items() for _ in given]
        return frame.with_columns(rows[CLOCK].gather(origins))
