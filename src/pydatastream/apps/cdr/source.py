"""The source: records by number, in portions of whole files."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import ClassVar

import polars as pl
from pydantic import Field

from pydatastream.apps.cdr.pools import pools
from pydatastream.apps.cdr.records import INDEX, SCHEMA, drawn
from pydatastream.core.batch import Batch, Offset
from pydatastream.core.source import Read, Reader, Source

PORTION = 1 << 16
"""Rows that are drawn at once."""

PATIENCE = 0.1
"""The longest wait for rows that are not due, in seconds."""


class CallRecordsSource(Source):
    """Make call records: in each row, one of data use and one of a call.

    Delivery: replayable. An offset is the number of rows before it. Batches end where files do.
    """

    replayable: ClassVar[bool] = True

    count: int = Field(ge=0)
    """How many rows there are."""
    rate: int = Field(gt=0)
    """Rows in a second of the simulated time."""
    start: datetime
    """The simulated time of the first row."""
    seed: int = 0
    """Another seed gives other records."""
    lines: int = Field(1000, gt=0, le=1_000_000)
    """Rows of a file."""
    pools: str
    """What the values that are looked up are known by; a run goes on with the same alone."""
    pace: float | None = Field(None, gt=0, exclude=True)
    """Simulated seconds in a real one; by default rows come as fast as they are taken."""

    @property
    def bounded(self) -> bool:
        """The rows end."""
        return True

    def declared(self) -> pl.Schema:
        """The fields of both kinds."""
        return SCHEMA

    def partitions(self) -> Sequence[str]:
        """There is one."""
        return ["records"]

    def open(self, partition: str, job: Read) -> Reader:  # noqa: ARG002 - there is but one
        """Start making rows."""
        return CallRecordsReader(self, job)


class CallRecordsReader:
    """Makes the rows from one number to another, a whole number of files at a time."""

    def __init__(self, source: CallRecordsSource, job: Read) -> None:
        self._source, self._job = source, job
        self._at: int = job.resume[INDEX] if job.resume else 0
        self._end: int = job.until[INDEX] if job.until else source.count
        self._pace = None if job.until else source.pace
        self._began, self._first = time.monotonic(), self._at

    def __iter__(self) -> Iterator[Batch | None]:
        while self._at < self._end:
            stop = self._due()
            if stop > self._at:
                yield self._batch(stop)
            else:
                time.sleep(PATIENCE)
                yield None

    def commit(self, offset: Offset) -> None:
        """Nothing to do: rows can be made again."""

    def close(self) -> None:
        """Nothing is open."""

    def _due(self) -> int:
        """Where the next batch ends: with the last whole file that may be given by now."""
        lines = self._source.lines
        most = self._at + max(min(self._job.rows, PORTION) // lines, 1) * lines
        if self._pace is None:
            return min(most, self._end)
        passed = (time.monotonic() - self._began) * self._pace
        made = self._first + int(passed * self._source.rate)
        return min(most, made - made % lines if made < self._end else self._end)

    def _batch(self, stop: int) -> Batch:
        start, self._at = self._at, stop
        source = self._source
        rows = drawn(start, stop, source.seed, pools(source.seed), source.start, source.rate)
        return Batch(rows.select(self._job.schema.names()).collect(), {INDEX: stop})
