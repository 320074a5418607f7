"""Send rows to different outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import polars as pl
from pydantic import Field

from pydatastream.core.batch import Emission, Routed
from pydatastream.core.errors import SchemaError
from pydatastream.core.operator import Flow, Kernel, Operator
from pydatastream.core.state import State
from pydatastream.parts.sql.expressions import Sql, columns_of, condition


class Route(Operator):
    """Send each row to the first port whose condition is true; the rest goes on.

    Below, `input: <step>.<port>` takes the rows of a port. A condition that is null counts as
    false. Rows of a port keep their order.
    """

    remembers: ClassVar[bool] = False
    primary: ClassVar[str | None] = "routes"
    spread: ClassVar[str | None] = "routes"
    example: ClassVar[str] = "- route: {hot: temperature > 30, broken: status = 'error'}"

    routes: dict[str, Sql] = Field(min_length=1)
    """Port: condition, as SQL text, tried in the order written."""
    every: bool = Field(False, alias="all")
    """Send a row to every port whose condition is true, not just the first."""

    def flow(self, *inputs: Flow) -> Flow:
        for name, text in self.routes.items():
            if "." in name or not name:
                raise SchemaError(f"{name!r} cannot name a port", hint="a word without a dot")
            condition(text, inputs[0].schema)
        return inputs[0]

    def side_flows(self, *inputs: Flow) -> dict[str, Flow]:
        return dict.fromkeys(self.routes, inputs[0])

    def reads(self, needed: frozenset[str] | None) -> frozenset[str] | None:
        return None if needed is None else needed.union(*map(columns_of, self.routes.values()))

    def open(self, state: State, *inputs: Flow) -> Kernel:  # noqa: ARG002
        schema = inputs[0].schema
        ports = {name: condition(text, schema) for name, text in self.routes.items()}
        return _Route(ports, self.every)


class _Route(Kernel):
    def __init__(self, ports: Mapping[str, pl.Expr], every: bool) -> None:
        self._ports = list(ports)
        masks, seen = [], pl.lit(False)
        for keep in ports.values():
            met = keep.fill_null(False)
            masks.append(met if every else met & ~seen)
            seen = seen | met
        self._masks = [mask.alias(str(number)) for number, mask in enumerate([*masks, ~seen])]

    def on_batch(self, rows: pl.DataFrame, port: int = 0) -> Emission:  # noqa: ARG002
        *masks, rest = rows.select(self._masks).get_columns()
        yield rows.filter(rest)
        for name, mask in zip(self._ports, masks, strict=True):
            yield Routed(name, rows.filter(mask))
