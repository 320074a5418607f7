"""Write rows to files: parts per epoch, or one file."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import ClassVar, Literal

import polars as pl
from pydantic import Field, SerializeAsAny

from pydatastream.core import durable
from pydatastream.core.errors import ConfigError
from pydatastream.core.faults import fault_point
from pydatastream.core.format import FileFormat, Format, StreamFormat
from pydatastream.core.sink import Delivery, Sink, View, Write, Writer
from pydatastream.core.types import need
from pydatastream.parts.files import staging
from pydatastream.parts.files.listing import format_of
from pydatastream.parts.files.marker import Marker, refuse_markers
from pydatastream.parts.files.naming import NamePattern, Names
from pydatastream.parts.files.replaced import DirectoryReplaced, FileReplaced, refuse_files
from pydatastream.parts.files.staging import Layout, Stage
from pydatastream.parts.files.view import FileView


class FileSink(Sink):
    """Write rows to a directory of part files, or to one file.

    A path without suffix, ending in "/" or of a directory is a directory of files
    `part-<epoch>-<n>.<extension>`, or called as `names` says; an epoch without rows gives none.
    Another path is one file, which only a run that has an end and no checkpoint can write.

    Delivery: exactly once. Rows are staged in hidden files of the same directory. With a
    checkpoint, publishing an epoch syncs them, then replaces the marker
    `.pds-<pipeline>-<output>.json`, which holds the epoch and its parts, then renames the parts:
    a crash before the marker shows nothing, one after it is completed by the next start, so a
    part that can be seen is complete and never changes. Without a checkpoint, a run that has an
    end replaces the whole directory, or the file, when it is complete; one without end removes
    the parts of the last run, shows those of each epoch, and loses the open epoch in a crash.
    The file system must keep what it has synced. A directory belongs to one output, or, with a
    checkpoint, to several with `names` that begin differently.
    """

    delivery: ClassVar[Delivery] = Delivery.EXACTLY_ONCE
    replaces: ClassVar[bool] = True
    primary: ClassVar[str | None] = "path"
    example: ClassVar[str] = "{type: file, path: out/, format: json}"

    path: str = Field(min_length=1)
    """A directory ("out/") or a file ("out/result.jsonl")."""
    format: SerializeAsAny[Format] | None = None
    """How rows are written; by default what the file's ending says, else json."""
    compression: Literal["gzip"] | None = None
    """Compress the files, as a path ending in .gz also does; parquet does so by itself."""
    roll_rows: int | None = Field(None, gt=0)
    """The most rows in one part; more start the next part of the epoch."""
    roll_bytes: int | None = Field(None, gt=0)
    """Once a part has so many bytes, further rows start the next one."""
    names: NamePattern | None = None
    """What parts are called, by the columns of their first row: `cdr_{ts:%Y%m%d_%H%M%S}`."""

    def format_hint(self) -> str:
        """The name of the format that the path's ending stands for, else json."""
        return format_of(self.path) or "json"

    def accepts(self, schema: pl.Schema) -> None:
        """Raise `SchemaError` if the format cannot write a column, or a name needs another."""
        need(schema, *Names(self.names).columns)
        if isinstance(self.format, StreamFormat):
            self.format.encoder(schema)

    def open(self, job: Write) -> Writer:
        """Start writing; `ConfigError` for a place that may not be written like this."""
        place = Path(self.path).expanduser().resolve()
        with durable.stopping(place):
            if self._names_directory(place):
                return _directory(place, self._layout(job.schema), job)
            self._refuse_one_file(place, job)
            return FileReplaced(place, self._layout(job.schema))

    def view(self, schema: pl.Schema, rows: int, newest: str | None) -> View:  # noqa: ARG002
        """Look at the newest rows of the parts that can be seen."""
        return FileView(Path(self.path).expanduser().resolve(), self._layout(schema), rows)

    def _names_directory(self, place: Path) -> bool:
        return self.path.endswith("/") or place.is_dir() or not place.suffix

    def _layout(self, schema: pl.Schema) -> Layout:
        if self.format is None:
            raise ConfigError(f"no format for {self.path!r}", hint="format: json")
        packed = self.compression == "gzip" or self.path.endswith(".gz")
        if packed and isinstance(self.format, FileFormat):
            what = f"{self.format.type_name()} compresses by itself"
            raise ConfigError(what, hint="leave out `compression`")
        names = Names(self.names)
        return Layout(self.format, schema, packed, self.roll_rows, self.roll_bytes, names)

    def _refuse_one_file(self, place: Path, job: Write) -> None:
        rolls = self.roll_rows or self.roll_bytes
        if job.durable or rolls or self.names or not job.bounded:
            why = "with a checkpoint" if job.durable else "that rolls" if rolls else "without end"
            why = "of parts with `names`" if self.names else why
            hint = f"a directory of part files, path: {Path(self.path).with_suffix('')}/"
            raise ConfigError(f"output {why} cannot be one file", where=str(place), hint=hint)


def _directory(place: Path, layout: Layout, job: Write) -> Writer:
    if place.exists() and not place.is_dir():
        what = "output is a file without suffix, where a directory is meant"
        raise ConfigError(what, where=str(place), hint="another path, such as out/ or out.jsonl")
    if job.durable:
        return PartsAdded(place, layout, Marker(place, job, layout.names))
    return DirectoryReplaced(place, layout) if job.bounded else PartsAdded(place, layout)


class PartsAdded:
    """Adds parts with each epoch; with a marker, it goes on where a crash left it."""

    def __init__(self, directory: Path, layout: Layout, marker: Marker | None = None) -> None:
        self._directory, self._layout, self._marker = directory, layout, marker
        self._stage: Stage | None = None
        self._last: int | None = None
        self._parts: list[str] = []
        self._token = secrets.token_hex(4)
        self._tidy = False
        durable.make_directory(directory)
        own, names = (marker.path, layout.names) if marker else (None, None)
        refuse_markers(directory, own, names)
        if marker:
            self._resume(marker)

    def begin(self, epoch: int) -> None:
        self.close()
        with durable.stopping(self._directory):
            self._clean()
        if not self._has(epoch):
            self._stage = Stage(self._directory, self._layout, epoch, self._token)
        fault_point("file.begun")

    def write(self, rows: pl.DataFrame) -> None:
        if self._stage:
            self._stage.write(rows)

    def publish(self, epoch: int) -> None:
        if self._has(epoch):
            self._reveal_waiting()
        else:
            self._tidy = False
            self._remember(epoch, staging.begun(self._stage, epoch).settle())
            staging.reveal(self._directory, self._parts, self._token)
            self._tidy = True
        fault_point("file.published")

    def published(self) -> int | None:
        return self._last

    def close(self) -> None:
        stage, self._stage = self._stage, None
        if stage:
            stage.abandon()

    def _has(self, epoch: int) -> bool:
        return self._last is not None and epoch <= self._last

    def _resume(self, marker: Marker) -> None:
        if not marker.load():
            why = "a part of another run, where this pipeline has no marker"
            refuse_files(self._directory, why, self._layout.names.owns)
        self._last, self._parts, self._token = marker.epoch, marker.parts, marker.token
        self._reveal_waiting()
        marker.take()
        self._token = marker.token

    def _remember(self, epoch: int, parts: list[str]) -> None:
        # The marker may be durable even if writing it fails: only the next start can tell, so
        # from here on nothing may remove the staged parts.
        self._stage = None
        if self._marker:
            with durable.stopping(self._marker.path):
                self._marker.advance(epoch, parts)
        self._last, self._parts = epoch, parts
        fault_point("file.remembered")

    def _reveal_waiting(self) -> None:
        names = staging.waiting(self._directory, self._parts, self._token)
        staging.reveal(self._directory, names, self._token)

    def _clean(self) -> None:
        """Remove what an attempt that came to nothing has left, after this start or a failure."""
        if self._tidy:
            return
        if self._marker:
            self._marker.check()
        self._reveal_waiting()
        names = self._layout.names
        for path in sorted(self._directory.iterdir()):
            if names.owns(path.name) and not names.shows(path.name, self._last):
                path.unlink(missing_ok=True)
                fault_point("file.removed")
        self._tidy = True
