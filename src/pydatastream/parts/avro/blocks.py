"""The blocks of a file of Avro, none larger than allowed, found without reading them.

References: Apache Avro 1.12, Specification: Object Container Files.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from pydatastream.core.errors import RowError

_MAGIC = b"Obj\x01"
_HEADER = 1 << 20
"""Bytes of a header at most."""


@dataclass(frozen=True, slots=True)
class Block:
    """Where the records of a block stand in the file, and how many they are."""

    rows: int
    at: int
    size: int


@dataclass(frozen=True, slots=True)
class AvroFile:
    """What a file says of itself."""

    path: Path
    schema: Any
    codec: str
    blocks: list[Block]

    @classmethod
    def of(cls, path: Path) -> AvroFile:
        """The header, and where each block is; `ValueError` if they do not fit together."""
        with path.open("rb") as file:
            end = file.seek(0, 2)
            file.seek(0)
            if file.read(4) != _MAGIC:
                raise ValueError("it does not begin as an Avro file does")
            known = _map(file)
            codec = known.get("avro.codec", b"null").decode()
            if codec not in ("null", "deflate"):
                raise ValueError(f"its blocks are packed by {codec!r}, which is not supported")
            blocks = list(_blocks(file, file.read(16), end))
            return cls(path, json.loads(known["avro.schema"]), codec, blocks)

    def read(self, number: int, most: int) -> bytes:
        """The records of a block, unpacked; `RowError` if they are more than `most` bytes."""
        block = self.blocks[number]
        with self.path.open("rb") as file:
            file.seek(block.at)
            data = file.read(block.size)
        if self.codec == "deflate":
            data = _unpacked(data, most)
        if len(data) > most:
            what = f"block {number} unpacks to more than {most} bytes"
            raise RowError(what, where=str(self.path), hint=f"max_block_bytes: {2 * most}")
        if block.rows > len(data) + 1:
            raise ValueError(f"{block.rows} records in {len(data)} bytes")
        return data


def _unpacked(data: bytes, most: int) -> bytes:
    try:
        return zlib.decompressobj(-15).decompress(data, most + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from None


def _blocks(file: BinaryIO, sync: bytes, end: int) -> Iterator[Block]:
    if len(sync) < 16:
        raise ValueError("the header ends too early")
    while file.tell() < end:
        rows, size = _long(file), _long(file)
        at = file.tell()
        if min(rows, size) < 0 or at + size + 16 > end:
            raise ValueError("the last block is not complete: truncated?")
        yield Block(rows, at, size)
        file.seek(at + size)
        if file.read(16) != sync:
            raise ValueError(f"no block ends at byte {at + size}")


def _map(file: BinaryIO) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    while count := _long(file):
        if count < 0:
            count, _ = -count, _long(file)
        for _ in range(count):
            name = _bytes(file).decode()
            found[name] = _bytes(file)
    return found


def _bytes(file: BinaryIO) -> bytes:
    size = _long(file)
    data = file.read(size) if 0 <= size <= _HEADER else b""
    if len(data) != size:
        raise ValueError("the header ends within a value")
    return data


def _long(file: BinaryIO) -> int:
    result = shift = 0
    while True:
        byte = file.read(1)
        if not byte or shift > 63:
            raise ValueError("the file ends within a number")
        result |= (byte[0] & 127) << shift
        shift += 7
        if byte[0] < 128:
            return (result >> 1) ^ -(result & 1)
