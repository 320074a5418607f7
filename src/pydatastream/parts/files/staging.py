"""The files of one epoch: staged under hidden names, with bounded memory, until published."""

from __future__ import annotations

import gzip
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

import polars as pl

from pydatastream.core import durable
from pydatastream.core.errors import StopError
from pydatastream.core.faults import fault_point
from pydatastream.core.format import Encoder, FileEncoder, FileFormat, Format, StreamFormat
from pydatastream.parts.files.naming import Names, taken


@dataclass(frozen=True, slots=True)
class Layout:
    """How rows become files, wherever they are put."""

    format: Format
    schema: pl.Schema
    gzip: bool = False
    roll_rows: int | None = None
    """The most rows in one file."""
    roll_bytes: int | None = None
    """A file with so many bytes is full."""
    names: Names = field(default_factory=Names)

    def name(self, epoch: int, number: int, rows: pl.DataFrame) -> str:
        """The name of a part that begins with these rows, once it is visible."""
        ending = f"{self.format.extension}.gz" if self.gzip else self.format.extension
        return f"{self.names.name(epoch, number, rows)}.{ending}"

    def encoder(self, target: BinaryIO) -> FileEncoder:
        """What writes one file of such rows to `target`; it leaves the target open."""
        if isinstance(self.format, FileFormat):
            return self.format.write_file(target, self.schema)
        return _Records(target, cast("StreamFormat", self.format).encoder(self.schema))


class _Records:
    """A file of records one after the other."""

    def __init__(self, target: BinaryIO, encoder: Encoder) -> None:
        self._target, self._encoder = target, encoder
        target.write(encoder.start())

    def write(self, rows: pl.DataFrame) -> None:
        self._target.write(self._encoder.encode(rows))

    def close(self) -> None:
        self._target.write(self._encoder.end())


class Part:
    """One file at work."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path, self.rows, self._layout = path, 0, layout
        self._file = durable.create(self.path)
        self._packed = packed(self._file) if layout.gzip else None
        with durable.stopping(self.path):
            self._encoder = layout.encoder(self._packed or self._file)

    def write(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Append rows; what is left of them when the part has its most."""
        most = self._layout.roll_rows
        taken = rows if most is None else rows.head(most - self.rows)
        with durable.stopping(self.path):
            self._encoder.write(taken)
        self.rows += taken.height
        fault_point("parts.written")
        return rows.slice(taken.height)

    def full(self) -> bool:
        """Whether the next rows belong in another file; bytes a format holds back do not count."""
        rows, size = self._layout.roll_rows, self._layout.roll_bytes
        return self.rows == rows or (size is not None and self._file.tell() >= size)

    def settle(self) -> None:
        """Complete the file and make its content durable."""
        with durable.stopping(self.path):
            self._encoder.close()
            if self._packed:
                self._packed.close()
        durable.settle(self._file, self.path)

    def abandon(self) -> None:
        """Remove the file; one that stays is removed by the next start."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def packed(file: BinaryIO) -> BinaryIO:
    """What packs as gzip all that is written to it."""
    # Neither name nor time inside: the same rows give the same bytes.
    return cast("BinaryIO", gzip.GzipFile("", "wb", 6, file, mtime=0))


AT_ONCE = 8
"""Files that wait for the disk while the next are written: it syncs many in hardly more time."""


class Stage:
    """The hidden parts of one epoch, in one directory.

    `token` is in the hidden names, so that no other instance writes to the same files. A part that
    is full is synced while the next is written.
    """

    def __init__(self, directory: Path, layout: Layout, epoch: int, token: str) -> None:
        self.epoch, self.token = epoch, token
        self._directory, self._layout = directory, layout
        self._parts: list[str] = []
        self._open: Part | None = None
        self._settler: ThreadPoolExecutor | None = None
        self._settling: deque[Future[None]] = deque()

    def write(self, rows: pl.DataFrame) -> None:
        """Append rows, in another part whenever one is full."""
        while rows.height:
            part = self._open or self._next(rows)
            rows = part.write(rows)
            if part.full():
                self._open = None
                self._settle_beside(part)

    def settle(self) -> list[str]:
        """Make all parts durable under their hidden names; the names they will have."""
        part, self._open = self._open, None
        if part:
            part.settle()
        self._wait(0)
        self._rest()
        if self._parts:
            durable.settle_directory(self._directory)
        fault_point("parts.staged")
        return self._parts

    def abandon(self) -> None:
        """Remove what is hidden still."""
        self._rest()
        if self._open:
            self._open.abandon()
        for name in self._parts:
            with suppress(OSError):
                hidden(self._directory / name, self.token).unlink(missing_ok=True)

    def _next(self, rows: pl.DataFrame) -> Part:
        name = self._layout.name(self.epoch, len(self._parts), rows)
        if name in self._parts or (self._directory / name).exists():
            raise taken(name).at(str(self._directory))
        self._parts.append(name)
        self._open = Part(hidden(self._directory / name, self.token), self._layout)
        return self._open

    def _settle_beside(self, part: Part) -> None:
        self._settler = self._settler or ThreadPoolExecutor(AT_ONCE, "sync")
        self._settling.append(self._settler.submit(part.settle))
        self._wait(AT_ONCE)

    def _wait(self, most: int) -> None:
        """Until no more than `most` parts are being made durable; raises what one died of."""
        while len(self._settling) > most:
            self._settling.popleft().result()

    def _rest(self) -> None:
        settler, self._settler = self._settler, None
        if settler:
            settler.shutdown()


def begun(stage: Stage | None, epoch: int) -> Stage:
    """The stage, if it is that of the epoch that is to be published."""
    if stage is None or stage.epoch != epoch:
        raise StopError(f"epoch {epoch} was not begun")
    return stage


def hidden(path: Path, token: str) -> Path:
    """The name under which an instance stages a file."""
    return path.with_name(f".{path.name}.{token}.tmp")


def waiting(directory: Path, names: list[str], token: str) -> list[str]:
    """Those of some parts that are hidden still."""
    return [name for name in names if hidden(directory / name, token).exists()]


def reveal(directory: Path, names: list[str], token: str) -> None:
    """Give parts that are durable their names, durably."""
    for name in names:
        durable.move(hidden(directory / name, token), directory / name)
    if names:
        durable.settle_directory(directory)
