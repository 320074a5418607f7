"""Seeded bugs: each breaks one promise of the protocol, and the suite must notice.

They are planted into a child process only; see fault_child.py.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from pydatastream import checkpoints, segments
from pydatastream.checkpoints import Checkpoint, Epoch, Saved
from pydatastream.connectors.file_sink import PartsAdded
from pydatastream.connectors.kafka_sink import CarryingWriter
from pydatastream.core import durable, faults
from pydatastream.core.batch import Batch
from pydatastream.core.state import Snapshot
from pydatastream.engines.local import attempt, reading, rereading, spool
from pydatastream.engines.local.attempt import Attempt
from pydatastream.engines.local.publishing import Publisher
from pydatastream.engines.local.reading import SourceThread
from pydatastream.engines.local.watermarks import Watermarks
from pydatastream.engines.local.work import Work
from pydatastream.parts.files import marker
from pydatastream.parts.files import staging as parts
from pydatastream.segments import SegmentStore


def plant(name: str) -> None:
    """Let this process have the bug."""
    (BUGS | GROUPS)[name]()


def no_marker() -> None:
    """The sink does not remember what it has published."""
    PartsAdded._has = lambda self, epoch: False
    PartsAdded.published = lambda self: None
    PartsAdded._clean = lambda self: None
    attempt.agree = lambda saved, outlets: None
    usual = parts.Layout.name
    parts.Layout.name = lambda *given: usual(*given).replace(".", _digits() + ".")


def _digits() -> str:
    return str(uuid.uuid4().int)[:12]


def no_intent() -> None:
    """What an epoch is made of is not recorded before it is published."""
    Checkpoint.intend = lambda self, epoch: None


def no_intent_unnoticed() -> None:
    """The same, and nobody looks at the sink's marker."""
    no_intent()
    attempt.agree = lambda saved, outlets: None


def commit_before_publish() -> None:
    """State and offsets are committed before the sinks have published."""
    usual = Publisher._publish

    def publish(self: Any, epoch: Epoch) -> None:
        store, self._store = self._store, None
        self._begin()
        store.intend(epoch)
        store.commit(epoch, self._outlets)
        usual(self, epoch)
        self._store = store

    Publisher._publish = publish


def ack_before_commit() -> None:
    """The source is told that rows are safe before they are."""
    usual = Publisher._publish

    def publish(self: Any, epoch: Epoch) -> None:
        self._acknowledge(epoch)
        usual(self, epoch)

    def acknowledge(self: Any, partition: str, offset: Mapping[str, Any]) -> None:
        self._partitions[partition]._reader.commit(offset)

    Publisher._publish = publish
    reading.SourceThread.acknowledge = acknowledge


def marker_after_commit() -> None:
    """The sink's marker is written after the commit instead of with the rows."""
    usual = marker.Marker.advance
    waiting: list[tuple[Any, ...]] = []
    commit = Checkpoint.commit

    def late(self: Any, epoch: Epoch, *outputs: Any) -> None:
        commit(self, epoch, *outputs)
        while waiting:
            usual(*waiting.pop())

    marker.Marker.advance = lambda *told: waiting.append(told)
    Checkpoint.commit = late


def no_lock() -> None:
    """Two runs may own one checkpoint, and one directory of a sink."""
    Checkpoint._locked = lambda self: os.open(os.devnull, os.O_RDONLY)
    Checkpoint._check_owner = lambda self: None
    marker.Marker.check = lambda self: None


def collected_before_commit() -> None:
    """Segments that are no longer used are removed before the commit that says so."""
    segments.KEEP = 0
    usual = SegmentStore.collect

    def collect(self: Any, epoch: int) -> list[str]:
        digests = usual(self, epoch)
        self.unlink(digests)
        return digests

    SegmentStore.collect = collect


def watermark_not_saved() -> None:
    """How far event time has come is forgotten."""
    usual = Checkpoint._states

    def states(self: Any) -> dict[str, Snapshot]:
        found = usual(self)
        for snapshot in found.values():
            snapshot.values.pop("watermark", None)
        return found

    Checkpoint._states = states
    Watermarks.saved = lambda self: {"greatest": {}, "idle": [], "watermark": -(2**62)}


def clock_not_frozen() -> None:
    """An epoch that is run again is stamped with a new time."""
    usual = rereading.read_again

    def again(node: Any, piece: Any, *rest: Any) -> Any:
        return usual(node, replace(piece, now=reading.wall_clock()), *rest)

    attempt.read_again = again


def dead_letters_outside() -> None:
    """Dead letters are written when they occur, not with their epoch."""

    def emit(self: Any, letters: pl.DataFrame) -> None:
        Path("dead").mkdir(exist_ok=True)
        with Path(f"dead/part-9{_digits()}-0.jsonl").open("x") as file:
            rows = letters.select("payload", "encoding", "error", "step").to_dicts()
            file.writelines(json.dumps(row) + "\n" for row in rows)

    Attempt._emit_letters = emit


def offset_off_by_one() -> None:
    """The position that is saved is one byte too far."""
    usual = Work.end_epoch

    def end(self: Any, number: int) -> Epoch:
        epoch = usual(self, number)
        moved = {key: {**at, "at": at["at"] + 1} for key, at in epoch.offsets.items()}
        return replace(epoch, offsets=moved)

    Work.end_epoch = end


def offset_not_saved() -> None:
    """The position of the last epoch but one is saved."""
    usual = Checkpoint._save_offsets

    def save(self: Any, epoch: Epoch) -> None:
        usual(self, replace(epoch, offsets=getattr(self, "_before", {})))
        self._before = epoch.offsets

    Checkpoint._save_offsets = save


def state_not_restored() -> None:
    """One step starts anew after a crash."""
    usual = Checkpoint.load

    def load(self: Any) -> Saved:
        saved = usual(self)
        kept = dict(list(saved.states.items())[:-1])
        return replace(saved, states=kept)

    Checkpoint.load = load


def spooled_after() -> None:
    """Rows that cannot be read again are handed on before they are spooled."""

    def live(self: Any) -> Iterator[Batch | None]:
        self._live = self._open_live(self._afresh())
        for batch in self._live:
            if batch is not None:
                sequence = self._log._last + 1
                yield Batch(batch.rows, {"sequence": sequence}, batch.dead)
                time.sleep(0.05)  # as if syncing took long
                self._log.append(batch.rows, batch.dead, batch.offset)

    spool.SpoolReader._from_live = live


def parts_not_synced() -> None:
    """Parts are renamed before their content is on the disk."""

    def settle(file: Any, path: Any) -> None:
        file.close()

    parts.durable.settle = settle


def directories_not_synced() -> None:
    """Names are never made durable."""
    for module in (durable, spool):
        module.settle_directory = lambda directory: None


def segments_not_synced() -> None:
    """Segments are written without being synced."""

    def write(path: Any, content: bytes) -> None:
        path.write_bytes(content)

    segments.replace = write


def spool_not_synced() -> None:
    """The spool is handed on without being synced."""
    spool.os = _Unsynced()


class _Unsynced:
    """The module `os`, whose fsync does nothing."""

    def __getattr__(self, name: str) -> Any:
        return (lambda descriptor: None) if name == "fsync" else getattr(os, name)


def commits_not_synced() -> None:
    """synchronous = OFF"""
    _synchronous("off")


def commits_hardly_synced() -> None:
    """synchronous = NORMAL"""
    _synchronous("normal")


def _synchronous(how: str) -> None:
    usual = Checkpoint._opened

    def opened(self: Any) -> Any:
        db = usual(self)
        db.execute(f"pragma synchronous = {how}")
        return db

    checkpoints.Checkpoint._opened = opened


def nothing_let_go() -> None:
    """Partitions go to others before what was read of them is published."""
    SourceThread._let_go = lambda self: None


def claimed_before() -> None:
    """The group is told how far all is read before it is published."""

    def carry(self: Any, claims: Any) -> None:
        for claim in claims:
            claim.commit()
        faults.fault_point("kafka.carried")

    CarryingWriter.carry = carry


GROUPS = {one.__name__: one for one in (nothing_let_go, claimed_before)}
"""Those of processes that share the partitions of a topic."""

BUGS: dict[str, Callable[[], None]] = {
    one.__name__: one
    for one in (
        no_marker,
        no_intent,
        no_intent_unnoticed,
        commit_before_publish,
        ack_before_commit,
        marker_after_commit,
        no_lock,
        collected_before_commit,
        watermark_not_saved,
        clock_not_frozen,
        dead_letters_outside,
        offset_off_by_one,
        offset_not_saved,
        state_not_restored,
        spooled_after,
        parts_not_synced,
        directories_not_synced,
        segments_not_synced,
        spool_not_synced,
        commits_not_synced,
        commits_hardly_synced,
    )
}
POWER = (
    "parts_not_synced",
    "directories_not_synced",
    "segments_not_synced",
    "spool_not_synced",
    "commits_not_synced",
    "commits_hardly_synced",
)
"""Those that only a power loss shows."""
