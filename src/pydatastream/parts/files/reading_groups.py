"""Reads one file of groups of rows, such as Parquet."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from pydatastream.core.batch import Batch, Offset
from pydatastream.core.errors import RowError, SourceGap
from pydatastream.core.format import FileFormat
from pydatastream.core.source import Read
from pydatastream.parts.files.listing import Listing
from pydatastream.parts.files.position import Identity, Position
from pydatastream.parts.files.reading_records import POLL
from pydatastream.parts.files.records import dead_letter

Portion = tuple[pl.DataFrame, Position]

SETTLED = 1.0
"""Seconds a followed file must be as it is, before it counts as written to its end."""


class GroupReader:
    """Reads a whole file group by group; if it `waits`, not before it is written to its end."""

    def __init__(
        self, place: Listing, name: str, form: FileFormat, job: Read, *, waits: bool
    ) -> None:
        self._place, self._name, self._path = place, name, place.root / name
        self._format, self._job = form, job
        self._waits = waits and not job.until and not job.resume

    def __iter__(self) -> Iterator[Batch | None]:
        while self._waits and not self._settled():
            time.sleep(POLL)
            yield None
        at = self._start()
        until = Position.of(self._job.until) if self._job.until else None
        try:
            for rows, end in () if at.broken else _told_last(self._portions(at, until)):
                at = end
                yield Batch(rows, self._told(at, until))
        except RowError as error:
            yield self._broken(replace(at, broken=True), until, error)

    def _settled(self) -> bool:
        try:
            return time.time() - self._path.stat().st_mtime > SETTLED
        except FileNotFoundError:
            return True

    def commit(self, offset: Offset) -> None:
        """Nothing to do: a file keeps what was read."""

    def close(self) -> None:
        """Nothing stays open between two groups."""

    def _start(self) -> Position:
        try:
            descriptor = self._place.open(self._name)
        except FileNotFoundError:
            raise self._gap("is no longer there") from None
        known = Position.of(self._job.resume) if self._job.resume else None
        now = Position(Identity.of(descriptor), 0)
        held = known is None or known.identity.holds(descriptor)
        os.close(descriptor)
        if not held:
            raise self._gap("was replaced, and its rows may not all have been read")
        return known or now

    def _portions(self, at: Position, until: Position | None) -> Iterator[Portion]:
        groups = self._format.groups(self._path, self._job.schema, at.at)
        for number, rows in enumerate(groups, at.at):
            skipped = at.row if number == at.at else 0
            last = until is not None and number == until.at
            end = until.row if until is not None and last else rows.height
            for start in range(skipped, end, self._job.rows):
                part = rows.slice(start, min(self._job.rows, end - start))
                yield part, _moved(at, number, start + part.height, rows.height)
            if last or (
                until is not None and not until.broken and (number + 1, 0) == (until.at, until.row)
            ):
                return

    def _told(self, at: Position, until: Position | None) -> Offset:
        ended = until is not None and self._job.until is not None and _same(at, until)
        return self._job.until if ended and self._job.until else at.offset()

    def _broken(self, at: Position, until: Position | None, error: RowError) -> Batch:
        none = pl.DataFrame(schema=self._job.schema)
        letter = dead_letter(str(self._path).encode(), f"{self._path}: {error.what}")
        return Batch(none, self._told(at, until), letter)

    def _gap(self, why: str) -> SourceGap:
        return SourceGap(f"{self._path} {why}", hint="bring the file back as it was")


def _moved(at: Position, number: int, row: int, height: int) -> Position:
    """The position after so many rows of a group: after all of them, at the next group."""
    return replace(at, at=number + 1, row=0) if row == height else replace(at, at=number, row=row)


def _told_last(portions: Iterator[Portion]) -> Iterator[Portion]:
    """The same portions; the last one's position says that nothing stands behind it."""
    held: Portion | None = None
    try:
        for portion in portions:
            if held:
                yield held
            held = portion
    except RowError:
        yield from [held] if held else []
        raise
    if held:
        yield held[0], replace(held[1], end=True)


def _same(one: Position, other: Position) -> bool:
    return (one.at, one.row, one.broken) == (other.at, other.row, other.broken)
