"""What flows out of a source: the columns it holds, and event time among them."""

from __future__ import annotations

from typing import Any

import polars as pl

from pydatastream.catalog import catalog
from pydatastream.core.batch import CLOCK
from pydatastream.core.errors import SchemaError
from pydatastream.core.operator import EventTime, Flow
from pydatastream.core.plan import SourceNode
from pydatastream.core.source import Source
from pydatastream.core.times import EVENT_TIME
from pydatastream.core.types import need, type_name

PROCESSING_TIME = "processing_time"
"""The column that `time: processing` adds."""


def formatted(component: Any) -> Any:
    """A source or sink with the format that its path's ending tells, if none is given."""
    hint = getattr(component, "format_hint", None)
    if hint is None or component.format is not None or (word := hint()) is None:
        return component
    return component.model_copy(update={"format": catalog().find("format", word)()})


def schema_at(source: Source, offline: bool) -> pl.Schema:
    """The columns as they stand at the source: declared, or else looked at (I/O)."""
    schema = source.declared()
    if schema is None and offline:
        raise SchemaError(
            "the columns are not known without looking at the source",
            hint="declare `schema: {column: type}`, or check without --offline",
        )
    found = source.infer() if schema is None else schema
    need(found, *source.required)
    if CLOCK in found:
        raise SchemaError(f"a column may not be called {CLOCK!r}")
    return found


def source_node(name: str, source: Source, reads: pl.Schema) -> SourceNode:
    """The source in a plan, reading these columns."""
    if source.time is None:
        return SourceNode(name, source, reads, Flow(reads))
    if source.time == "processing":
        column = PROCESSING_TIME
        if column in reads:
            raise SchemaError(f"`time: processing` adds {column!r}, which is there already")
    else:
        column = source.time
        _check_time(source, reads)
    schema = pl.Schema({**reads, column: EVENT_TIME})
    return SourceNode(name, source, reads, Flow(schema, EventTime(column)))


def _check_time(source: Source, schema: pl.Schema) -> None:
    column = source.time or ""
    need(schema, column)
    dtype = schema[column]
    if dtype.is_numeric():
        if source.time_unit is None:
            raise SchemaError(
                f"the time column {column!r} is a number without a unit",
                hint="`time_unit:` s (10 digits today), ms (13), us (16) or ns (19)",
            )
    elif not isinstance(dtype, pl.Datetime | pl.Date | pl.String):
        raise SchemaError(
            f"column {column!r} of type {type_name(dtype)} cannot be event time",
            hint="a timestamp, ISO-8601 text, or a number with `time_unit:`",
        )
