"""Reads the records of one partition of files: in order, from and to exact positions."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator
from dataclasses import replace

import polars as pl

from pydatastream.core.batch import Batch, Offset
from pydatastream.core.errors import SourceGap
from pydatastream.core.format import Decoded, StreamFormat
from pydatastream.core.source import GONE, Read
from pydatastream.parts.files.position import Position
from pydatastream.parts.files.records import Limits, Records, dead_letter
from pydatastream.parts.files.tail import OpenFile, Tail, Truncated

POLL = 0.02
"""Seconds between two looks at a file that may grow."""

_log = logging.getLogger("pydatastream")


class RecordReader:
    """Reads one file, or if it `follows`, those that come to have its name one after the other.

    `path` is what the file is called in messages; `longest` the most bytes of a record.
    """

    def __init__(
        self, path: str, tail: Tail, form: StreamFormat, job: Read, longest: int, *, follows: bool
    ) -> None:
        self._path, self._tail, self._format, self._job = path, tail, form, job
        self._limits = Limits(job.rows, job.bytes, longest)
        self._follows = follows and job.until is None
        self._at = Position.of(job.resume) if job.resume else None
        self._file: OpenFile | None = None
        self._next: OpenFile | None = None
        self._looked = 0.0

    def __iter__(self) -> Iterator[Batch | None]:
        if self._follows:
            return self._follow()
        return self._guarded(self._again() if self._job.until else self._once())

    def commit(self, offset: Offset) -> None:
        """Nothing to do: a file keeps what was read."""

    def close(self) -> None:
        """Close what is open."""
        for file in (self._file, self._next):
            if file is not None:
                file.close()

    def _guarded(self, batches: Iterator[Batch | None]) -> Iterator[Batch | None]:
        try:
            yield from batches
        except Truncated:
            raise self._gap("it was cut short or replaced while it was read") from None

    def _once(self) -> Iterator[Batch | None]:
        if not self._begin():
            raise self._gap("it is no longer there")
        yield from self._read(None)

    def _again(self) -> Iterator[Batch | None]:
        """The rows up to a position that was reached before, through the same files."""
        until = Position.of(self._job.until or {})
        passed = until.passed_since(self._at)
        if passed is None:
            raise self._gap("more files came and went than an offset remembers")
        legs = [*passed, (until.identity.inode, None if until.broken else until.at)]
        for inode, end in legs:
            self._enter_again(inode)
            yield from self._read(end)
            if end is not None and self._at and self._at.at != end:
                raise self._gap(f"it ends before byte {end}")

    def _enter_again(self, inode: int) -> None:
        file = self._tail.find(lambda one: one.identity.inode == inode)
        fresh = self._file is None
        if file is None or (fresh and self._at and not self._at.identity.starts(file.descriptor)):
            raise self._gap("it was replaced or removed")
        if fresh and self._at:
            self._enter(file, replace(self._at, identity=file.identity))
        else:
            self._enter(file)

    def _follow(self) -> Generator[Batch | None, None, object]:
        while not self._begin():
            yield self._pause()
        while True:
            try:
                yield from self._read(None)
                while not self._go_on():
                    if self._file and self._file.left() and self._tail.gone():
                        return GONE
                    yield self._pause()
            except Truncated:
                self._cut_short()

    def _begin(self) -> bool:
        """Open the file to start with; False: it is not there yet."""
        at = self._at
        if at is None:
            file = self._tail.first()
            return file is not None and self._enter(file)
        file = self._tail.find(lambda one: at.identity.holds(one.descriptor))
        if file is not None and file.reaches(at.at):
            return self._enter(file, at)
        if file is not None:
            file.close()
        return self._begin_elsewhere(at)

    def _begin_elsewhere(self, at: Position) -> bool:
        file = self._tail.named() if at.at == 0 else None
        if file is not None:
            return self._enter(file)  # nothing was read of the one before
        if self._follows and self._cut_short():
            return True
        raise self._gap("it was replaced or removed, and its rows may not all have been read")

    def _cut_short(self) -> bool:
        """Go on in a copy that was made before the file was cut, or from its start."""
        if self._at is None:
            return False
        at, one = self._at, self._at.identity
        copy = self._tail.find(lambda file: _copied(file, at))
        if copy is not None:
            return self._enter(copy, replace(at, identity=copy.identity))
        cut = self._tail.find(lambda file: file.identity.inode == one.inode)
        if cut is None or (self._file is None and cut.reaches(at.at)):
            return False
        _log.warning("%s was cut short: reading it again from its start", self._path)
        return self._enter(cut)

    def _enter(self, file: OpenFile, at: Position | None = None) -> bool:
        """Make it the file that is read, from a position, or as the next one from its start."""
        if self._file is not None:
            self._file.close()
        before = self._at.next(file.identity) if self._at else Position(file.identity, 0)
        self._file, self._at, self._next = file, at or before, None
        return True

    def _read(self, until: int | None) -> Iterator[Batch | None]:
        """The rows of the file that is open, up to `until` or while it is not over."""
        file, at = self._file, self._at
        if file is None or at is None or at.broken:
            return
        while not self._has_header(start := file.read(0, self._limits.record)):
            yield self._pause()
        size = self._format.header_size(start)
        decoder = self._format.decoder(self._job.schema, start[:size])
        records = Records(file, decoder, self._format, self._job.schema, self._limits)
        for portion in records.portions(max(at.at, size), until, self._over):
            yield self._batch(*portion) if portion else self._pause()
        if file.damage:
            yield self._broken(file.damage)

    def _has_header(self, start: bytes) -> bool:
        end = self._format.resync
        whole = end is None or end in start or len(start) == self._limits.record
        return whole or not self._follows or self._over()

    def _over(self) -> bool:
        """Whether no more will be added to the file that is open."""
        file, at = self._file, self._at
        if not self._follows or file is None or at is None:
            return True
        if not file.quiet() or self._tail.has(file.identity.inode):
            return False
        self._next = self._next or self._tail.after(file.status(), self._known(at))
        return self._next is not None or file.left()

    def _go_on(self) -> bool:
        """Open the next file; False: it is not there yet."""
        over = self._next is not None or self._over()
        return over and self._next is not None and self._enter(self._next)

    def _known(self, at: Position) -> set[int]:
        return {at.identity.inode, *(inode for inode, _ in at.past)}

    def _batch(self, decoded: Decoded, at: int) -> Batch:
        return Batch(decoded.rows, self._offset(at), decoded.dead)

    def _broken(self, why: str) -> Batch:
        none = pl.DataFrame(schema=self._job.schema)
        offset = self._offset(self._at.at if self._at else 0, broken=True)
        return Batch(none, offset, dead_letter(self._path.encode(), f"{self._path}: {why}"))

    def _offset(self, at: int, *, broken: bool = False) -> Offset:
        if self._file is None or self._at is None:
            raise RuntimeError("no file is open")
        identity, last = self._file.identity, self._file.ends_at(at)
        self._at = replace(self._at, identity=identity, at=at, broken=broken, end=last)
        end = self._job.until
        return end if end and _same(self._at, Position.of(end)) else self._at.offset()

    def _pause(self) -> Batch | None:
        """Wait until it is time to look again; several readers in one thread share the wait."""
        time.sleep(max(0.0, self._looked + POLL - time.monotonic()))
        self._looked = time.monotonic()
        return None

    def _gap(self, why: str) -> SourceGap:
        return SourceGap(
            f"{self._path}: {why}",
            hint="bring the file back as it was, or start afresh with a new checkpoint",
        )


def _copied(file: OpenFile, at: Position) -> bool:
    """Whether a file is another's copy, and holds what comes after the position."""
    one = at.identity
    other = file.identity.inode != one.inode
    return other and one.length > 0 and one.starts(file.descriptor) and file.reaches(at.at)


def _same(one: Position, other: Position) -> bool:
    place = (other.identity.inode, other.at, other.broken, other.count)
    return (one.identity.inode, one.at, one.broken, one.count) == place
