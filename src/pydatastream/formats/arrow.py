"""Arrow IPC files (also called Feather), read record batch by record batch."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, ClassVar, Literal

import polars as pl
from pydantic import Field

from pydatastream.core.errors import ConfigError, RowError
from pydatastream.core.format import FileEncoder, FileFormat
from pydatastream.parts.decoding.damage import reading
from pydatastream.parts.files.gathering import Gathered, fitted, plain

_MAGIC = b"ARROW1"
_BATCH = 3
"""The number of a record batch among the kinds of message."""


class ArrowFormat(FileFormat):
    """Read and write Arrow IPC files, record batch by record batch.

    A batch that would unpack to more than `max_batch_bytes` is refused before it is touched. A
    damaged file gives the batches before the damage; the format has no checksums. Rows to be
    written are gathered, on disk beyond 64 MiB, until the file is closed.
    """

    extension: ClassVar[str] = "arrow"
    example: ClassVar[str] = "{type: arrow, compression: zstd}"

    compression: Literal["zstd", "lz4", "uncompressed"] = "zstd"
    """How columns are packed."""
    batch_rows: int = Field(1 << 17, gt=0)
    """The most rows in a record batch that is written."""
    max_batch_bytes: int = Field(1 << 30, gt=0)
    """A record batch that unpacks to more bytes is not read."""

    def infer_file(self, path: Path) -> pl.Schema:
        """The schema of a file; `ConfigError` if it is damaged."""
        with reading("the footer", path, ConfigError):
            _blocks(path)
            return plain(pl.Schema(pl.read_ipc_schema(path)))

    def groups(self, path: Path, schema: pl.Schema, first: int) -> Iterator[pl.DataFrame]:
        """The record batches from number `first` on; `RowError` for one that is damaged."""
        with reading("the footer", path, RowError):
            blocks = _blocks(path)
            found = pl.Schema(pl.read_ipc_schema(path))
        columns = fitted(schema, found)
        at = 0
        for number, block in enumerate(blocks):
            if number >= first:
                self._check(path, number, block)
                yield _read(path, number, columns, at, block.rows)
            at += block.rows

    def _check(self, path: Path, number: int, block: Block) -> None:
        if block.unpacked > self.max_batch_bytes:
            what = f"record batch {number} unpacks to {block.unpacked} bytes"
            raise RowError(what, where=str(path), hint=f"max_batch_bytes: {block.unpacked}")

    def write_file(self, target: BinaryIO, schema: pl.Schema) -> FileEncoder:
        """An encoder that writes one file."""
        return ArrowEncoder(self, target, schema)


class ArrowEncoder:
    """Gathers rows and writes the file when it is closed."""

    def __init__(self, options: ArrowFormat, target: BinaryIO, schema: pl.Schema) -> None:
        self._options, self._target = options, target
        self._gathered = Gathered(schema)

    def write(self, rows: pl.DataFrame) -> None:
        self._gathered.add(rows)

    def close(self) -> None:
        self._gathered.all().sink_ipc(
            self._target,
            compression=self._options.compression,
            record_batch_size=self._gathered.group_rows(self._options.batch_rows),
        )
        self._gathered.forget()


def _read(path: Path, number: int, columns: list[pl.Expr], at: int, rows: int) -> pl.DataFrame:
    with reading(f"record batch {number}", path, RowError):
        found = pl.scan_ipc(path, glob=False).slice(at, rows).select(columns).collect()
    if found.height != rows:
        raise RowError(f"batch {number} has {found.height} rows, not {rows}", where=str(path))
    return found


@dataclass(frozen=True, slots=True)
class Block:
    """A record batch, as its message describes it."""

    rows: int
    unpacked: int
    """Bytes it needs in memory."""


def _blocks(path: Path) -> list[Block]:
    """The record batches of a file, without reading them.

    References: Apache Arrow, format/File.fbs and format/Message.fbs.
    """
    with path.open("rb") as file:
        end = file.seek(0, 2)
        tail = _at(file, max(end - 10, 0), 10)
        size = int.from_bytes(tail[:4], "little")
        if tail[4:] != _MAGIC or size > end - 10:
            raise ValueError("it does not end as an Arrow file does: truncated, or a stream?")
        footer = Table.root(_at(file, end - 10 - size, size))
        spans = [struct.unpack("<qi4xq", block) for block in footer.vector(3, 24)]
        return [_block(file, end, *span) for span in spans]


def _block(file: BinaryIO, end: int, at: int, head: int, body: int) -> Block:
    if min(at, head - 8, body) < 0 or at + head + body > end:
        raise ValueError("a record batch lies outside the file")
    message = Table.root(_at(file, at, head)[8:])
    if message.number(1, "<B") != _BATCH:
        raise ValueError("a block is no record batch")
    batch = message.table(2)
    rows = batch.number(0, "<q")
    if rows < 0:
        raise ValueError("a record batch has fewer rows than none")
    if not batch.has(3):
        return Block(rows, body)
    buffers = [struct.unpack("<qq", one) for one in batch.vector(2, 16)]
    if any(min(start, size) < 0 or start + size > body for start, size in buffers):
        raise ValueError("a buffer lies outside its batch")
    return Block(rows, sum(_unpacked(file, at + head, *one) for one in buffers))


def _unpacked(file: BinaryIO, body: int, at: int, size: int) -> int:
    """Bytes of one buffer in memory: a packed one starts with that number, or -1."""
    if not size:
        return 0
    told = int.from_bytes(_at(file, body + at, 8), "little", signed=True)
    return size if told < 0 else told


def _at(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)


class Table:
    """A table of a FlatBuffer: fields by number; `ValueError` or `struct.error` if damaged.

    References: FlatBuffers, Internals: tables and vectors.
    """

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at
        self._fields = at - self._get("<i", at)

    @classmethod
    def root(cls, data: bytes) -> Table:
        """The table that a buffer holds."""
        return cls(data, struct.unpack_from("<I", data)[0])

    def has(self, field: int) -> bool:
        """Whether the field is there."""
        return self._place(field) is not None

    def number(self, field: int, code: str) -> int:
        """A number; 0 if it is not there."""
        place = self._place(field)
        return 0 if place is None else self._get(code, place)

    def table(self, field: int) -> Table:
        """A table within."""
        place = self._place(field)
        if place is None:
            raise ValueError("a table is missing")
        return Table(self._data, place + self._get("<I", place))

    def vector(self, field: int, size: int) -> list[bytes]:
        """Structs of `size` bytes each."""
        place = self._place(field)
        if place is None:
            return []
        start = place + self._get("<I", place)
        count, first = self._get("<I", start), start + 4
        if first + count * size > len(self._data):
            raise ValueError("a vector lies outside its buffer")
        return [self._data[first + n * size : first + (n + 1) * size] for n in range(count)]

    def _place(self, field: int) -> int | None:
        if 4 + 2 * field >= self._get("<H", self._fields):
            return None
        offset = self._get("<H", self._fields + 4 + 2 * field)
        return self._at + offset if offset else None

    def _get(self, code: str, at: int) -> int:
        if at < 0:
            raise ValueError("an offset is negative")
        return int(struct.unpack_from(code, self._data, at)[0])
