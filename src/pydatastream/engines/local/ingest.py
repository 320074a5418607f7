"""From what a source holds to what steps take: event time, required columns, skew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from pydatastream.core.batch import Batch
from pydatastream.core.dead import dead_rows
from pydatastream.core.moments import instants, moments
from pydatastream.core.plan import SourceNode
from pydatastream.core.times import EVENT_TIME, Micros, duration_text, micros, utc

PROCESSING_TIME = "processing_time"
"""The column that `time: processing` adds."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Rows ready for the steps, those that are not, and the greatest event time."""

    rows: pl.DataFrame
    dead: pl.DataFrame
    greatest: Micros | None


class Ingest:
    """Prepares the batches of one source."""

    def __init__(self, node: SourceNode) -> None:
        self._source = node.source
        self._columns = node.flow.schema.names()
        self._required = [name for name in node.source.required if name in node.reads]
        skew = node.source.max_skew
        self._skew = None if skew == "off" else micros(skew)

    def take(self, batch: Batch, now: Micros) -> Taken:
        """Rows with event time; what cannot be used is set aside with the reason."""
        rows, dead = batch.rows, [batch.dead] if batch.dead.height else []
        for kept, refused in self._checks(rows, now):
            rows = kept
            dead += [refused] if refused is not None else []
        return Taken(rows, _joined(dead, batch.dead), self._greatest(rows))

    def _checks(
        self, rows: pl.DataFrame, now: Micros
    ) -> Iterator[tuple[pl.DataFrame, pl.DataFrame | None]]:
        for column in self._required:
            rows, refused = _split(rows, rows[column].is_null(), f"required {column} is missing")
            yield rows, refused
        if self._source.time == "processing":
            stamp = pl.lit(utc(now)).cast(EVENT_TIME).alias(PROCESSING_TIME)
            yield rows.with_columns(stamp), None
        elif self._source.time is not None:
            yield from self._timed(rows, self._source.time, now)

    def _timed(
        self, rows: pl.DataFrame, column: str, now: Micros
    ) -> Iterator[tuple[pl.DataFrame, pl.DataFrame | None]]:
        raw = rows[column]
        times = moments(raw, self._source.time_unit)
        error = f"{column} is missing or no time"
        kept, refused = _split(rows, times.is_null(), error) if times.null_count() else (rows, None)
        kept = kept.with_columns(times.drop_nulls() if refused is not None else times)
        yield kept, refused
        if self._skew is not None and kept.height:
            yield self._unskewed(kept, column, now + self._skew)

    def _unskewed(
        self, rows: pl.DataFrame, column: str, limit: Micros
    ) -> tuple[pl.DataFrame, pl.DataFrame | None]:
        error = f"{column} is more than {duration_text(limit)} ahead of the clock"
        if self._skew is not None:
            ahead = duration_text(self._skew)
            error = f"{column} is more than {ahead} in the future: is time_unit right? (max_skew)"
        times = instants(rows[column])
        if times.max() <= limit:  # type: ignore[operator]
            return rows, None
        return _split(rows, times > limit, error)

    def _greatest(self, rows: pl.DataFrame) -> Micros | None:
        if self._source.time is None or not rows.height:
            return None
        column = PROCESSING_TIME if self._source.time == "processing" else self._source.time
        greatest = instants(rows[column]).max()
        return int(greatest)  # type: ignore[arg-type]


def _split(
    rows: pl.DataFrame, bad: pl.Series, error: str
) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    if not bad.any():
        return rows, None
    return rows.filter(~bad), dead_rows(rows.filter(bad), error)


def _joined(dead: list[pl.DataFrame], none: pl.DataFrame) -> pl.DataFrame:
    return pl.concat(dead) if dead else none
