"""Drop readings below a temperature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import polars as pl
from pydantic import Field

from pydatastream.core.errors import SchemaError
from pydatastream.core.operator import Flow, RowOperator
from pydatastream.core.types import need, type_name


class FilterLowTemperature(RowOperator):
    """Drop the rows whose temperature is below a threshold, or missing.

    It is `filter: temperature >= threshold`, with a threshold that the variables
    TEMPERATURE_THRESHOLD and TEMPERATURE_THRESH change, besides `<STEP>_THRESHOLD`, which wins.
    """

    primary: ClassVar[str | None] = "threshold"
    env: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "threshold": ("TEMPERATURE_THRESHOLD", "TEMPERATURE_THRESH")
    }
    example: ClassVar[str] = "- filter_low_temperature: {threshold: 10}"

    threshold: float = Field(10.0, allow_inf_nan=False)
    """The least temperature that is kept; text such as "10" or " 10 " is taken too."""
    column: str = "temperature"
    """The column of temperatures."""

    def flow(self, *inputs: Flow) -> Flow:
        schema = inputs[0].schema
        need(schema, self.column)
        if not schema[self.column].is_numeric():
            found = type_name(schema[self.column])
            raise SchemaError(f"{self.column} is no number but {found}", hint="`cast:` it first")
        return inputs[0]

    def reads(self, needed: frozenset[str] | None) -> frozenset[str] | None:
        return None if needed is None else needed | {self.column}

    def transform(self, rows: pl.LazyFrame, flow: Flow) -> pl.LazyFrame:  # noqa: ARG002
        warm = pl.col(self.column)
        return rows.filter((warm >= self.threshold) & warm.is_not_nan())
