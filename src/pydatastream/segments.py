"""Segments of state on disk: small ones in the database, large ones as Arrow IPC files."""

from __future__ import annotations

import hashlib
import io
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from pydatastream.core.durable import make_directory, replace
from pydatastream.core.errors import CheckpointError
from pydatastream.core.faults import fault_point
from pydatastream.core.state import Segment

INLINE = 1 << 16
"""Segments up to this size, in bytes, stand in the database itself."""

KEEP = 2
"""For how many epochs a segment that is no longer used is kept."""

_SCHEMA = """
create table if not exists segments (digest text primary key, rows blob, unused_since integer)
"""
_MARK = """
update segments set unused_since = case
  when digest in (select digest from frames) then null else coalesce(unused_since, ?) end
where (digest in (select digest from frames)) = (unused_since is not null)
"""


class SegmentStore:
    """Content-addressed segments; a segment is written once, however often it is named."""

    def __init__(self, db: sqlite3.Connection, folder: Path, *, readonly: bool = False) -> None:
        self._db, self._folder = db, folder
        if not readonly:
            make_directory(folder)
            with db:
                db.execute(_SCHEMA)
            self._remove_orphans()

    def write(self, segment: Segment) -> str:
        """Make a segment durable, if it is not yet; returns its digest."""
        if segment.stored is None:
            data = _encoded(segment.rows)
            digest = hashlib.blake2b(data, digest_size=20).hexdigest()
            if not self._known(digest):
                self._store(digest, data)
            segment.stored = digest
        return segment.stored

    def read(self, digest: str) -> Segment:
        """The segment of that digest; `CheckpointError` if it is damaged."""
        found = self._db.execute("select rows from segments where digest = ?", (digest,)).fetchone()
        file = self._file(digest)
        data = found[0] if found and found[0] is not None else _content(file)
        if data is None or hashlib.blake2b(data, digest_size=20).hexdigest() != digest:
            raise CheckpointError(
                "a segment of the state is missing or damaged",
                where=str(file),
                hint="restore a copy of the directory, or start afresh with a new path",
            )
        return Segment(pl.read_ipc(io.BytesIO(data)), digest)

    def collect(self, epoch: int) -> list[str]:
        """Forget, in the open transaction, what has long been unused; returns its digests."""
        self._db.execute(_MARK, (epoch,))
        old = "from segments where unused_since <= ?"
        digests = [row[0] for row in self._db.execute(f"select digest {old}", (epoch - KEEP,))]
        self._db.execute(f"delete {old}", (epoch - KEEP,))
        return digests

    def unlink(self, digests: Iterable[str]) -> None:
        """Remove the files of segments that the database has forgotten."""
        for digest in digests:
            self._file(digest).unlink(missing_ok=True)
            fault_point("segments.unlinked")

    def _known(self, digest: str) -> bool:
        query = "select 1 from segments where digest = ?"
        return self._db.execute(query, (digest,)).fetchone() is not None

    def _store(self, digest: str, data: bytes) -> None:
        inline = len(data) <= INLINE
        if not inline:
            replace(self._file(digest), data)
            fault_point("segments.written")
        row = (digest, data if inline else None)
        self._db.execute("insert into segments values (?, ?, null)", row)

    def _file(self, digest: str) -> Path:
        return self._folder / f"{digest}.arrow"

    def _remove_orphans(self) -> None:
        known = {row[0] for row in self._db.execute("select digest from segments")}
        for file in self._folder.iterdir():
            if file.stem not in known:
                file.unlink()


def _encoded(rows: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    rows.write_ipc(buffer)
    return buffer.getvalue()


def _content(file: Path) -> bytes | None:
    return file.read_bytes() if file.exists() else None
