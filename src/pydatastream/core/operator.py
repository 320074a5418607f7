"""Operators: what happens to rows on their way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

import polars as pl
from pydantic import BeforeValidator, model_validator

from pydatastream.core.batch import Emission
from pydatastream.core.component import Component
from pydatastream.core.flow import EventTime as EventTime
from pydatastream.core.flow import Flow as Flow
from pydatastream.core.functions import Functions as Functions
from pydatastream.core.state import State
from pydatastream.core.times import Micros

Names = Annotated[
    list[str], BeforeValidator(lambda names: [names] if isinstance(names, str) else names)
]
"""Column names: a list, or a single one."""

Invalid = Annotated[
    Literal["dead_letter", "null"], BeforeValidator(lambda word: "null" if word is None else word)
]
"""What a value that cannot be read becomes: its row a dead letter, or the value null."""


class Kernel:
    """An operator at work; it remembers nothing outside its State.

    Rules: never mutate a frame. `on_batch` raises before it touches the state, or not at all, so
    that the engine may try smaller batches to find the rows at fault. The result does not depend
    on how the stream was cut into batches. `on_watermark` says that no row older than
    `watermark` (microseconds) is expected; it never goes back. FOREVER, the end of the stream,
    makes complete all that is held, and is remembered as the watermark that would just have done
    so: the stream may have grown when it is run again.
    """

    released: int = 0
    """Input rows that left the state again, inside rows that were emitted."""
    forgotten: int = 0
    """Keys that were forgotten because there were more than are remembered."""

    def on_batch(self, rows: pl.DataFrame, port: int = 0) -> Emission:
        """Take rows from input number `port`, yield what they give."""
        raise NotImplementedError

    def on_watermark(self, watermark: Micros) -> Emission:  # noqa: ARG002 - for kernels that wait
        """Yield what is complete now that event time has come so far."""
        return iter(())

    def held(self) -> int:
        """How many input rows are in the state, counted from the state itself."""
        return 0


class Operator(Component):
    """A kind of step: it knows its output's schema before any row has come."""

    kind: ClassVar[str] = "operator"

    inputs: ClassVar[int | None] = 1
    """How many inputs it takes; None: one or more."""
    ports: ClassVar[tuple[str, ...]] = ()
    """Further outputs, named `step.port`."""
    aggregates: ClassVar[bool] = False
    """Whether a row that comes out stands for several that came in."""
    remembers: ClassVar[bool] = True
    """Whether what it makes of a row depends on rows before it."""

    @model_validator(mode="before")
    @classmethod
    def _long_form(cls, given: Any) -> Any:
        """Take `cast: {columns: {n: int}, invalid: null}`: a mapping that names the primary one."""
        inner = given.get(cls.primary) if isinstance(given, Mapping) else None
        if isinstance(inner, Mapping) and isinstance(inner.get(cls.primary), Mapping | list):
            return {**given, **inner}
        return given

    def flow(self, *inputs: Flow) -> Flow:
        """What comes out of the main output; `SchemaError` if it does not fit. No I/O."""
        raise NotImplementedError

    def side_flows(self, *inputs: Flow) -> dict[str, Flow]:
        """What comes out of the further outputs, by port."""
        return dict.fromkeys(self.ports, inputs[0])

    def reads(self, needed: frozenset[str] | None) -> frozenset[str] | None:  # noqa: ARG002 - for steps that select
        """The input columns needed to give the output columns in `needed`; None: all.

        It may name columns that an input does not have, and need not name that of event time.
        """
        return None

    def bind(self, functions: Functions) -> Self:  # noqa: ARG002 - for steps that call them
        """The same step with the names of user functions replaced by the functions."""
        return self

    def lateness_allowed(self) -> Micros | None:
        """How late a row may be for this step; None: lateness means nothing to it."""
        return None

    def delay(self) -> Micros:
        """How far behind the watermark its rows come, for it has waited for late ones."""
        return 0

    def open(self, state: State, *inputs: Flow) -> Kernel:
        """Start work on inputs of these shapes."""
        raise NotImplementedError


class RowOperator(Operator):
    """An operator that looks at one row at a time and keeps no state.

    Neighbours are run as one Polars query. Hidden columns pass through. It writes one of the
    two: `transform`, or `query` where something can be worked out before any row has come.
    """

    remembers: ClassVar[bool] = False

    def transform(self, rows: pl.LazyFrame, flow: Flow) -> pl.LazyFrame:
        """The query; `flow` is the input's."""
        return self.query(flow)(rows)

    def query(self, flow: Flow) -> Callable[[pl.LazyFrame], pl.LazyFrame]:
        """The query, with all that depends on the input's shape alone worked out once."""
        return lambda rows: self.transform(rows, flow)
