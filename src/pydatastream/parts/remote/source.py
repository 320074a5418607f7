"""What sources of remote files have in common: their options, and how they read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, ClassVar

import polars as pl
from pydantic import Field

from pydatastream.core.batch import Offset
from pydatastream.core.format import MAX_RECORD
from pydatastream.core.source import Read, Reader, Source
from pydatastream.core.times import Duration, micros
from pydatastream.parts.files.compressed import Compression
from pydatastream.parts.files.listing import format_of
from pydatastream.parts.files.position import refuse_gaps
from pydatastream.parts.remote.file import Origin, RemoteFile, Seen, inferred
from pydatastream.parts.remote.files import RemoteReader
from pydatastream.parts.remote.format import Formatted


class RemoteSource(Formatted, Source):
    """Reads the files of a remote place; each is a partition."""

    replayable: ClassVar[bool] = True
    headed: ClassVar[bool] = True

    follow: bool = False
    """Go on with files that are added: the stream has no end."""
    every: Duration = "5s"
    """With `follow`, how often to look for new files."""
    compression: Compression = "auto"
    """How files are compressed; auto: what the name's ending says, .gz or .zst."""
    max_record: int = Field(MAX_RECORD, gt=0)
    """The longest record in bytes; a longer one becomes a dead letter."""

    @property
    def bounded(self) -> bool:
        """Whether the files end: they do, unless more are waited for."""
        return not self.follow

    def connected(self) -> Origin:
        """The place, not yet asked anything."""
        raise NotImplementedError

    def readiness(self) -> Callable[[Seen], bool]:
        """What says whether a file is written to its end."""
        return lambda _: True

    def format_hint(self) -> str | None:
        """The format that the first file's ending stands for."""
        return next((hint for name in self._names() if (hint := format_of(name))), None)

    def check(self) -> None:
        """Connect and look; `ConfigError` says what is wrong."""
        self._names()

    def partitions(self) -> Sequence[str]:
        """The files that are there."""
        due = time.monotonic() - self._looked.get("at", -1e9) >= micros(self.every) / 1e6
        if due or not self.follow:
            self._looked.update(at=time.monotonic(), names=self._names())
        return list(self._looked["names"])

    def infer(self) -> pl.Schema:
        """The schema of the first file that is not empty."""
        with self._place() as origin:
            return inferred(self._files(origin), self.form(), origin.place)

    def check_gone(self, gone: Mapping[str, Offset]) -> None:
        """A file that is gone must have been read to its end."""
        refuse_gaps(self._origin.place, gone)

    def open(self, partition: str, job: Read) -> Reader:
        """Start reading one file."""
        form, origin = self.form(), self._origin
        origin.use()
        path = f"{origin.place}/{partition}"
        ready = self.readiness()
        longest = self.max_record
        return RemoteReader(
            path, lambda: self._file(partition), ready, form, job, longest, origin.close
        )

    @cached_property
    def _origin(self) -> Origin:
        return self.connected()

    @cached_property
    def _looked(self) -> dict[str, Any]:
        return {}

    @contextmanager
    def _place(self) -> Iterator[Origin]:
        self._origin.use()
        try:
            yield self._origin
        finally:
            self._origin.close()

    def _names(self) -> list[str]:
        with self._place() as origin:
            return origin.names()

    def _file(self, name: str) -> RemoteFile | None:
        seen = self._origin.seen(name)
        return RemoteFile(self._origin, name, seen, self.compression) if seen else None

    def _files(self, origin: Origin) -> Iterator[RemoteFile]:
        return (file for name in origin.names() if (file := self._file(name)))
