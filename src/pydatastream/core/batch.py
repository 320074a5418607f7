"""What travels: batches of rows from readers, frames between steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import polars as pl
import polars.selectors as cs

from pydatastream.core.times import Micros

Offset = Mapping[str, Any]
"""A JSON-able position just AFTER the last row of a batch."""

CLOCK = "__clock"
"""Hidden column, only there when a batch holds rows that may be late: the watermark in
microseconds as it stood when the row arrived (before any lateness allowance). Because it
travels with the row, what is late never depends on where batches were cut."""

DEAD_SCHEMA = pl.Schema({"payload": pl.String, "encoding": pl.String, "error": pl.String})
"""Rows a reader could not read. encoding: "utf8", or "base64" when payload is not text."""


@cache
def no_dead() -> pl.DataFrame:
    """The frame of no dead letters: one for all batches, as small ones take long to make it."""
    return pl.DataFrame(schema=DEAD_SCHEMA)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one partition in their order; never mutated, only replaced.

    `rows` has shape (n, c). `dead` holds the rows that could not be read, as DEAD_SCHEMA.
    """

    rows: pl.DataFrame
    offset: Offset
    dead: pl.DataFrame = field(default_factory=no_dead)
    watermark: Micros | None = None
    """No later row of this partition is expected to be older; None: told by event times."""


@dataclass(frozen=True, slots=True)
class Routed:
    """Rows a kernel sends to another of its outputs than the main one."""

    port: str
    rows: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Refused:
    """Input rows a kernel cannot process: they become dead letters."""

    rows: pl.DataFrame
    error: str
    step: str | None = None
    """The step at fault, where it is not the one that yields this."""


Emitted = pl.DataFrame | Routed | Refused
"""What a kernel yields: a bare frame goes to its main output."""

Emission = Iterator[Emitted]

HIDDEN = cs.by_name(CLOCK, require_all=False)
"""The hidden columns that a batch happens to have; row operators pass them on."""
