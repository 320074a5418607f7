"""Parquet files, read row group by row group."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal

import polars as pl
from pydantic import Field

from pydatastream.core.errors import ConfigError, RowError
from pydatastream.core.format import FileEncoder, FileFormat
from pydatastream.parts.decoding.damage import reading
from pydatastream.parts.files.gathering import Gathered, fitted, plain

_MAGIC = b"PAR1"


class ParquetFormat(FileFormat):
    """Read and write Parquet files, row group by row group.

    The footer is read first: a row group that would unpack to more than `max_group_bytes` is
    refused before it is touched. A damaged file gives the groups before the damage. Written with
    zstd and statistics; rows are gathered, on disk beyond 64 MiB, until the file is closed.
    """

    extension: ClassVar[str] = "parquet"
    example: ClassVar[str] = "{type: parquet, compression: zstd}"

    compression: Literal["zstd", "lz4", "snappy", "gzip", "uncompressed"] = "zstd"
    """How columns are packed."""
    group_rows: int = Field(1 << 17, gt=0)
    """The most rows in a row group that is written."""
    max_group_bytes: int = Field(1 << 30, gt=0)
    """A row group that unpacks to more bytes is not read."""

    def infer_file(self, path: Path) -> pl.Schema:
        """The schema in the footer; `ConfigError` if the file is damaged."""
        with reading("the footer", path, ConfigError):
            _row_groups(path)
            return plain(pl.Schema(pl.read_parquet_schema(path)))

    def groups(self, path: Path, schema: pl.Schema, first: int) -> Iterator[pl.DataFrame]:
        """The row groups from number `first` on; `RowError` for one that is damaged."""
        with reading("the footer", path, RowError):
            sizes = _row_groups(path)
            found = pl.Schema(pl.read_parquet_schema(path))
        columns = fitted(schema, found)
        at = 0
        for number, (rows, size) in enumerate(sizes):
            if number >= first:
                self._check(path, number, size)
                yield _read(path, number, columns, at, rows)
            at += rows

    def _check(self, path: Path, number: int, size: int) -> None:
        if size > self.max_group_bytes:
            what = f"row group {number} unpacks to {size} bytes"
            raise RowError(what, where=str(path), hint=f"max_group_bytes: {size}")

    def write_file(self, target: BinaryIO, schema: pl.Schema) -> FileEncoder:
        """An encoder that writes one file."""
        return ParquetEncoder(self, target, schema)


class ParquetEncoder:
    """Gathers rows and writes the file when it is closed."""

    def __init__(self, options: ParquetFormat, target: BinaryIO, schema: pl.Schema) -> None:
        self._options, self._target = options, target
        self._gathered = Gathered(schema)

    def write(self, rows: pl.DataFrame) -> None:
        self._gathered.add(rows)

    def close(self) -> None:
        self._gathered.all().sink_parquet(
            self._target,
            compression=self._options.compression,
            statistics=True,
            row_group_size=self._gathered.group_rows(self._options.group_rows),
        )
        self._gathered.forget()


def _read(path: Path, number: int, columns: list[pl.Expr], at: int, rows: int) -> pl.DataFrame:
    with reading(f"row group {number}", path, RowError):
        found = pl.scan_parquet(path, glob=False).slice(at, rows).select(columns).collect()
    if found.height != rows:
        raise RowError(f"row group {number} has {found.height} rows, not {rows}", where=str(path))
    return found


def _row_groups(path: Path) -> list[tuple[int, int]]:
    """Rows and unpacked bytes of every row group, from the footer alone.

    References: Apache Parquet, parquet.thrift: FileMetaData, RowGroup.
    """
    with path.open("rb") as file:
        end = file.seek(0, 2)
        tail = _at(file, max(end - 8, 0), 8)
        size = int.from_bytes(tail[:4], "little")
        if tail[4:] != _MAGIC or size > end - 12:
            raise ValueError("it does not end as a Parquet file does: truncated?")
        footer = _at(file, end - 8 - size, size)
    groups = Thrift(footer).struct().get(4, [])
    sizes = [(group[3], max(group[2], _least(group))) for group in groups]
    if any(rows < 0 or unpacked < 0 for rows, unpacked in sizes):
        raise ValueError("a row group has a negative size")
    return sizes


def _least(group: dict[int, Any]) -> int:
    """Bytes that the values of a row group need at least: a run of equal ones is stored once."""
    return sum(8 * int(chunk[3][5]) for chunk in group[1])


def _at(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)


class Thrift:
    """Reads structs in Thrift's compact protocol: field numbers and their values.

    References: Apache Thrift, doc/specs/thrift-compact-protocol.md.
    """

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """The fields of the struct that comes next; `ValueError` if there is none."""
        if depth > 16:
            raise ValueError("structs are nested too deep")
        fields: dict[int, Any] = {}
        number = 0
        while (head := self._byte()) != 0:
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            fields[number] = self._value(head & 15, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (1, 2):
            return kind == 1
        if kind == 3:
            return self._byte()
        if kind in (4, 5, 6):
            return self._zigzag()
        if kind == 7:
            return self._take(8)
        if kind == 8:
            return self._take(self._varint())
        if kind in (9, 10):
            return self._list(depth)
        if kind == 12:
            return self.struct(depth + 1)
        raise ValueError(f"field of an unknown type {kind}")

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        count = self._varint() if head >> 4 == 15 else head >> 4
        kind = head & 15
        if count > len(self._data) - self._at:
            raise ValueError("a list is longer than the footer")
        return [self._byte() if kind in (1, 2) else self._value(kind, depth) for _ in range(count)]

    def _byte(self) -> int:
        byte = self._data[self._at]
        self._at += 1
        return byte

    def _take(self, size: int) -> bytes:
        if size > len(self._data) - self._at:
            raise ValueError("a field is longer than the footer")
        self._at += size
        return self._data[self._at - size : self._at]

    def _varint(self) -> int:
        result = shift = 0
        while True:
            byte = self._byte()
            result |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return result
            if shift > 63:
                raise ValueError("a number has too many bytes")

    def _zigzag(self) -> int:
        number = self._varint()
        return (number >> 1) ^ -(number & 1)
