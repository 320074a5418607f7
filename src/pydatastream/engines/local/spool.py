"""The spool keeps what a source cannot give twice, until the epoch that used it is committed.

    <checkpoint>/spool/<source>/<partition>/<first>.log

A record is length, CRC-32, sequence number, then rows and dead letters as Arrow IPC, and the
offset that the source gave. A batch is handed on only when its record is synced, so whatever was
taken in can be taken in again: the source is told at once, and need not keep it any longer. A torn
record at the end of the last log was never handed on, and is cut off; any other damage stops the
run. Sequence numbers never come again, even if the logs are gone.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import polars as pl

from pydatastream.core.batch import Batch, Offset
from pydatastream.core.durable import make_directory, settle_directory, stopping
from pydatastream.core.errors import StopError
from pydatastream.core.faults import fault_point
from pydatastream.core.plan import SourceNode
from pydatastream.core.source import Read, Reader

Opener = Callable[[SourceNode, str, Read], Reader]

ROLL = 64 << 20
"""Bytes after which a log is ended and the next one begun."""

_HEAD = struct.Struct("<IIQII")
"""Length of the body, CRC-32, sequence number, where rows and where dead letters end in it."""

_SUMMED = struct.Struct("<QII")
"""What the CRC covers besides the body: zeros must not pass for a record."""


def opener(checkpoint: Path | None) -> Opener:
    """How partitions are opened: by way of the spool where a source cannot be read again."""

    def open_partition(node: SourceNode, partition: str, job: Read) -> Reader:
        if checkpoint is None or node.source.replayable:
            return node.source.open(partition, job)
        folder = checkpoint / "spool" / quote(node.name, "") / quote(partition, "")
        return SpoolReader(folder, job, lambda read: node.source.open(partition, read))

    return open_partition


class SpoolReader:
    """Gives what is in the spool first, then what comes live, which it spools before."""

    def __init__(self, folder: Path, job: Read, live: Callable[[Read], Reader]) -> None:
        self._at: int = (job.resume or {"sequence": 0})["sequence"]
        self._log = Log(folder, self._at)
        self._until: int | None = job.until["sequence"] if job.until else None
        self._job, self._open_live = job, live
        self._live: Reader | None = None

    def __iter__(self) -> Iterator[Batch | None]:
        for sequence, rows, dead in self._log.read(self._at):
            if self._until is not None and sequence > self._until:
                return
            yield Batch(rows, {"sequence": sequence}, dead)
        if self._until is None:
            yield from self._from_live()

    def _from_live(self) -> Iterator[Batch | None]:
        self._live = self._open_live(self._afresh())
        for batch in self._live:
            if batch is None:
                yield None
                continue
            sequence = self._log.append(batch.rows, batch.dead, batch.offset)
            self._live.commit(batch.offset)
            yield Batch(batch.rows, {"sequence": sequence}, batch.dead, batch.watermark)

    def commit(self, offset: Offset) -> None:
        """Everything up to here is durable in the sinks: the spool may forget it."""
        self._log.forget(offset["sequence"])

    def _afresh(self) -> Read:
        """The source begins anew, and hears what it has given before."""
        job = self._job
        return Read(job.schema, rows=job.rows, bytes=job.bytes, spooled=self._log.offsets())

    def close(self) -> None:
        """Stop reading; what is spooled stays."""
        self._log.close()
        if self._live is not None:
            self._live.close()


class Log:
    """Numbered records in files of one folder, oldest first; those up to `done` are used up."""

    def __init__(self, folder: Path, done: int) -> None:
        self._folder = folder
        make_directory(folder)
        self._file: BinaryIO | None = None
        self._last = max(done, self._mended())

    def append(self, rows: pl.DataFrame, dead: pl.DataFrame, offset: Offset) -> int:
        """Make a record durable; returns its number."""
        number = self._last + 1
        file = self._writable(number)
        with stopping(self._folder):
            file.write(_packed(number, rows, dead, offset))
            file.flush()
            fault_point("spool.written")
            os.fsync(file.fileno())
            fault_point("spool.synced")
        self._last = number
        return number

    def read(self, after: int) -> Iterator[tuple[int, pl.DataFrame, pl.DataFrame]]:
        """The records behind a number."""
        for path in self._paths():
            with path.open("rb") as file:
                for number, body, rows, dead in _records(file):
                    if number > after:
                        yield number, _frame(body[:rows]), _frame(body[rows:dead])
                if file.read(1):
                    raise _damaged(path)

    def offsets(self) -> list[Offset]:
        """What the source gave as the ends of the records that are kept, used up or not."""
        found: list[Offset] = []
        for path in self._paths():
            with path.open("rb") as file:
                found += [json.loads(body[dead:]) for _, body, _, dead in _records(file)]
        return found

    def forget(self, upto: int) -> None:
        """Remove the logs that hold nothing behind this number."""
        paths = self._paths()
        for path, following in itertools.pairwise(paths):
            if int(following.stem) <= upto + 1:
                path.unlink(missing_ok=True)
                fault_point("spool.forgotten")

    def close(self) -> None:
        """Close the log; it may be closed twice."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("*.log"), key=lambda path: int(path.stem))

    def _writable(self, number: int) -> BinaryIO:
        if self._file is not None and self._file.tell() > ROLL:
            self.close()
        if self._file is None:
            with stopping(self._folder):
                self._file = (self._folder / f"{number}.log").open("ab")
                settle_directory(self._folder)
        return self._file

    def _mended(self) -> int:
        """Cut off a torn tail; returns the number of the last whole record."""
        paths = self._paths()
        if not paths:
            return 0
        last, path = int(paths[-1].stem) - 1, paths[-1]
        with stopping(path), path.open("r+b") as file:
            for number, _, _, _ in _records(file):
                last = number
            if _more_follows(file):
                raise _damaged(path)
            file.truncate()
        return last


def _packed(number: int, rows: pl.DataFrame, dead: pl.DataFrame, offset: Offset) -> bytes:
    first, second = _bytes(rows), _bytes(dead)
    body = first + second + json.dumps(offset).encode()
    ends = (len(first), len(first) + len(second))
    return _HEAD.pack(len(body), _sum(number, *ends, body), number, *ends) + body


def _sum(number: int, rows: int, dead: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(_SUMMED.pack(number, rows, dead)))


def _records(file: BinaryIO) -> Iterator[tuple[int, bytes, int, int]]:
    """Number, body, where its rows and its dead letters end; stops before one that is not whole."""
    while True:
        at = file.tell()
        head = file.read(_HEAD.size)
        if len(head) == _HEAD.size:
            length, checksum, number, rows, dead = _HEAD.unpack(head)
            body = file.read(length)
            if len(body) == length and checksum == _sum(number, rows, dead, body):
                yield number, body, rows, dead
                continue
        file.seek(at)
        return


def _more_follows(file: BinaryIO) -> bool:
    """Whether the record that is not whole is followed by another: then it was once synced."""
    at = file.tell()
    head = file.read(_HEAD.size)
    length = _HEAD.unpack(head)[0] if len(head) == _HEAD.size else 0
    file.seek(at + _HEAD.size + length)
    follows = bool(length) and next(_records(file), None) is not None
    file.seek(at)
    return follows


def _damaged(path: Path) -> StopError:
    return StopError(
        "a log of the spool is damaged: rows that were taken in cannot be read again",
        where=str(path),
        hint="restore it from a copy; or move it away, and the rows in it are lost",
    )


def _bytes(rows: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    rows.write_ipc(buffer)
    return buffer.getvalue()


def _frame(data: bytes) -> pl.DataFrame:
    return pl.read_ipc(io.BytesIO(data))
