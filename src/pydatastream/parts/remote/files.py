"""Reads one file of a remote place: its records or its groups, between exact positions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl

from pydatastream.core.batch import Batch, Offset
from pydatastream.core.errors import RowError
from pydatastream.core.format import Decoded, FileFormat, Format, StreamFormat
from pydatastream.core.source import Read
from pydatastream.parts.files.compressed import Content
from pydatastream.parts.files.records import Limits, Records, dead_letter
from pydatastream.parts.remote.file import RemoteFile, Seen, gap
from pydatastream.parts.remote.place import Place, cut, pause

Portion = tuple[Decoded, Place]
Look = Callable[[], RemoteFile | None]


class RemoteReader:
    """Reads one file from one position to another; it must be the same file all the time.

    `look` gives the file as it is now, None if it is gone; `ready` says whether it is
    whole; `done` is called once at the end.
    """

    def __init__(
        self,
        path: str,
        look: Look,
        ready: Callable[[Seen], bool],
        form: Format,
        job: Read,
        longest: int,
        done: Callable[[], None],
    ) -> None:
        self._path, self._look, self._ready = path, look, ready
        self._form, self._job = form, job
        self._limits = Limits(job.rows, job.bytes, longest)
        self._done: Callable[[], None] | None = done
        self._until = Place(**job.until) if job.until else None

    def __iter__(self) -> Iterator[Batch | None]:
        start = Place(**self._job.resume) if self._job.resume else None
        if start and start.end:
            return
        while (file := self._found(start)) is None:
            yield from pause()
        start = start or Place(file.seen.version)
        if not start.broken:
            yield from self._batches(file, start)

    def commit(self, offset: Offset) -> None:
        """Nothing to do: the file stays."""

    def close(self) -> None:
        """Let the connection go, unless another reader uses it."""
        done, self._done = self._done, None
        if done:
            done()

    def _found(self, start: Place | None) -> RemoteFile | None:
        file = self._look()
        if file is None:
            raise gap(self._path, "is no longer there")
        if start is not None and file.seen.version != start.version:
            raise gap(self._path, "was replaced, and not all of its rows were read")
        return file if start or self._until or self._ready(file.seen) else None

    def _batches(self, file: RemoteFile, start: Place) -> Iterator[Batch]:
        """What is read, each batch with its place; the last one says that it is."""
        held: Portion | None = None
        for portion in self._portions(file, start):
            if held:
                yield _batch(*held)
            held = portion
        if held:
            yield _batch(held[0], self._until or replace(held[1], end=True))

    def _portions(self, file: RemoteFile, start: Place) -> Iterator[Portion]:
        if isinstance(self._form, FileFormat):
            with file.copied() as path:
                yield from self._groups(self._form, path, start)
        elif isinstance(self._form, StreamFormat):
            with file.content() as found:
                yield from self._records(self._form, found, start)

    def _records(self, form: StreamFormat, found: Content, start: Place) -> Iterator[Portion]:
        first = found.read(0, self._limits.record)
        size = form.header_size(first)
        decoder = form.decoder(self._job.schema, first[:size])
        records = Records(found, decoder, form, self._job.schema, self._limits)
        stop = None if self._until is None or self._until.broken else self._until.at
        at = start
        for portion in records.portions(max(start.at, size), stop, lambda: True):
            if portion:
                at = replace(at, at=portion[1])
                yield portion[0], at
        if found.damage and stop is None:
            yield self._damaged(found.damage), replace(at, broken=True)

    def _groups(self, form: FileFormat, path: Path, start: Place) -> Iterator[Portion]:
        place = start
        try:
            groups = form.groups(path, self._job.schema, start.at)
            for rows, place in cut(groups, start, self._until, self._job.rows):
                yield Decoded(rows), place
        except RowError as error:
            yield self._damaged(error.what), replace(place, broken=True)

    def _damaged(self, why: str) -> Decoded:
        none = pl.DataFrame(schema=self._job.schema)
        return Decoded(none, dead_letter(self._path.encode(), f"{self._path}: {why}"))


def _batch(decoded: Decoded, place: Place) -> Batch:
    return Batch(decoded.rows, place.told(), decoded.dead)
