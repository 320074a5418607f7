"""Dead letters: rows that could not be processed, kept with all that is needed to mend them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import polars as pl

from pydatastream.core.batch import CLOCK
from pydatastream.core.times import EVENT_TIME, Micros, utc

_TEXT: pl.DataType = pl.String()
LETTER_SCHEMA = pl.Schema(
    {
        "payload": _TEXT,
        "encoding": _TEXT,
        "error": _TEXT,
        "step": _TEXT,
        "position": _TEXT,
        "plan": _TEXT,
        "at": EVENT_TIME,
    }
)
"""A dead letter. payload: the record as it came, or the row as JSON. encoding: utf8, base64 or
row. step: the node that refused it. position: JSON of where it was read. plan: the fingerprint
of the plan. at: when, by the frozen clock of the epoch."""

_CAP = 400
_SHOWN = pl.col("error").str.replace_all(r"[\x00-\x1f\x7f]", " ").str.head(_CAP)


def dead_rows(rows: pl.DataFrame, error: str) -> pl.DataFrame:
    """Rows as dead letters of a reader: payload is the row as JSON."""
    bare = rows.drop(CLOCK, strict=False)
    if not bare.width:
        payload = pl.Series("payload", ["{}"] * rows.height)
    else:
        lines = bare.select(_writable(bare.schema)).write_ndjson().splitlines()
        payload = pl.Series("payload", lines, dtype=pl.String)
    return pl.DataFrame({"payload": payload}).with_columns(
        encoding=pl.lit("row"), error=pl.lit(error)
    )


def letters(
    dead: pl.DataFrame, step: str, position: Mapping[str, Any], plan: str, now: Micros
) -> pl.DataFrame:
    """Complete dead letters from what a reader or a step refused."""
    where = json.dumps(position, default=str)
    return dead.with_columns(
        _SHOWN,
        step=pl.lit(step),
        position=pl.lit(where),
        plan=pl.lit(plan),
        at=pl.lit(utc(now)).cast(EVENT_TIME),
    ).select(list(LETTER_SCHEMA))


def _writable(schema: pl.Schema) -> list[pl.Expr]:
    return [_as_json(name, dtype) for name, dtype in schema.items()]


def _as_json(name: str, dtype: pl.DataType) -> pl.Expr:
    if dtype == EVENT_TIME:
        return pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    if dtype == pl.Binary:
        return pl.col(name).bin.encode("base64")
    return pl.col(name)
