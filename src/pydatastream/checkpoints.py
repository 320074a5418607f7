"""A checkpoint directory: how far a run has come, and all its state, in one transaction.

<dir>/checkpoint.db   SQLite: epoch, intent, offsets, clocks, state
<dir>/segments/       large segments of state, Arrow IPC, named by their content
<dir>/LOCK            held by the one process that may write
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydatastream.core.durable import make_directory
from pydatastream.core.errors import CheckpointError, StopError
from pydatastream.core.faults import fault_point
from pydatastream.core.state import Snapshot
from pydatastream.segments import SegmentStore

_SCHEMA = """
create table if not exists meta (key text primary key, value text not null);
create table if not exists intent (
  epoch integer primary key, record text not null);
create table if not exists offsets (
  source text, partition text, offset text not null, primary key (source, partition));
create table if not exists frames (
  step text, name text, at integer, digest text not null, primary key (step, name, at));
create table if not exists vals (step text primary key, value text not null);
create table if not exists refused (
  epoch integer, output text, letters text not null, primary key (epoch, output));
"""


@dataclass(frozen=True, slots=True)
class Epoch:
    """All that a checkpoint records of one epoch."""

    number: int
    record: Mapping[str, Any]
    """What happened, as plain data: enough to run the epoch again."""
    offsets: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    """By (source, partition): the position after the epoch; of those `gone` before none stays."""
    states: Mapping[str, Snapshot] = field(default_factory=dict)
    clocks: Mapping[str, Any] = field(default_factory=dict)
    gone: Collection[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Saved:
    """What a checkpoint remembered when it was opened."""

    epoch: int
    offsets: dict[str, dict[str, dict[str, Any]]]
    states: dict[str, Snapshot]
    clocks: dict[str, Any]
    intent: Epoch | None
    starts: int
    """How often a run was begun since an epoch was last committed, this one included."""
    outputs: frozenset[str] = frozenset()
    """The outputs that had published the last committed epoch."""
    fingerprint: str | None = None
    """Of the plan that wrote the state."""


class Checkpoint:
    """One checkpoint directory, owned by this process until `close`.

    While it is `cautious`, a commit does not end the count of starts that came to nothing.
    """

    def __init__(self, path: Path, pipeline: str) -> None:
        self.path = path
        make_directory(path)
        self._lock = self._locked()
        self._db = self._opened()
        self._last: dict[str, Snapshot] = {}
        self.cautious = False
        self._segments = SegmentStore(self._db, path / "segments")
        self._claim(pipeline)

    @classmethod
    def peek(cls, path: Path) -> Saved:
        """What the checkpoint remembers, without owning it; another process may."""
        self = cls.__new__(cls)
        self.path = path
        self._db = sqlite3.connect(f"file:{path / 'checkpoint.db'}?mode=ro", uri=True)
        self._segments = SegmentStore(self._db, path / "segments", readonly=True)
        try:
            return self.load()
        finally:
            self._db.close()

    def fingerprint(self) -> str | None:
        """The fingerprint of the plan that wrote the state, if any did."""
        return self._meta("fingerprint")

    def bind(self, fingerprint: str) -> None:
        """Remember which plan the state belongs to."""
        with self._transaction():
            self._set("fingerprint", fingerprint)

    def load(self) -> Saved:
        """Everything that was committed last, and the intent that was not."""
        self._last = self._states()
        return Saved(
            int(self._meta("epoch") or 0),
            self._offsets(),
            self._last,
            json.loads(self._meta("clocks") or "{}"),
            self._intent(),
            self._starts() + 1,
            frozenset(json.loads(self._meta("outputs") or "[]")),
            fingerprint=self.fingerprint(),
        )

    def begin(self) -> None:
        """A run begins its work: until an epoch is committed, it counts as one that died."""
        with self._transaction():
            self._set("starts", str(self._starts() + 1))

    def rest(self) -> None:
        """A run has come to its end: whatever may have killed it before, it is no more."""
        with self._transaction():
            self._set("starts", "0")

    def intend(self, epoch: Epoch) -> None:
        """Record what the epoch is made of, before any sink shows it."""
        fault_point("checkpoint.before_intent")
        with self._transaction():
            self._check_owner()
            once = "insert into intent values (?, ?) on conflict (epoch) do nothing"
            self._db.execute(once, (epoch.number, json.dumps(epoch.record)))
        fault_point("checkpoint.after_intent")

    def empty(self) -> None:
        """Nothing is in the epoch on record: its rows are others' now."""
        with self._transaction():
            self._check_owner()
            self._db.execute("update intent set record = ?", (json.dumps({"events": []}),))
            self._db.execute("delete from refused")

    def refuse(self, epoch: int, output: str, letters: str) -> None:
        """Record the dead letters of rows that an output refuses, before it shows the others."""
        with self._transaction():
            self._check_owner()
            row = (epoch, output, letters)
            self._db.execute("insert or replace into refused values (?, ?, ?)", row)
        fault_point("checkpoint.refused")

    def refused(self, epoch: int, output: str) -> str | None:
        """What was recorded of an output that has shown the epoch before."""
        which = "select letters from refused where epoch = ? and output = ?"
        found = self._db.execute(which, (epoch, output)).fetchone()
        return found[0] if found else None

    def commit(self, epoch: Epoch, outputs: Collection[str] = ()) -> None:
        """State, offsets and clocks of an epoch that every one of these outputs has published."""
        fault_point("checkpoint.before_commit")
        with self._transaction():
            self._check_owner()
            self._save_states(epoch.states)
            self._save_offsets(epoch)
            self._set("clocks", json.dumps(epoch.clocks))
            self._set("outputs", json.dumps(sorted(outputs)))
            self._set("epoch", str(epoch.number))
            if epoch.offsets and not self.cautious:
                self._set("starts", "0")
            self._db.execute("delete from intent where epoch <= ?", (epoch.number,))
            self._db.execute("delete from refused where epoch <= ?", (epoch.number,))
            unused = self._segments.collect(epoch.number)
        fault_point("checkpoint.after_commit")
        self._last = dict(epoch.states)
        self._segments.unlink(unused)
        fault_point("checkpoint.collected")

    def close(self) -> None:
        """Let go of the directory."""
        self._db.close()
        os.close(self._lock)

    def _locked(self) -> int:
        lock = os.open(self.path / "LOCK", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise CheckpointError(
                "another run is using this checkpoint",
                where=str(self.path),
                hint="stop the other run, or give this one a `checkpoint: {path: ...}` of its own",
            ) from None
        return lock

    def _opened(self) -> sqlite3.Connection:
        # One connection and a rollback journal: WAL before SQLite 3.51.3 could be corrupted.
        db = sqlite3.connect(self.path / "checkpoint.db", check_same_thread=False)
        try:
            db.execute("pragma journal_mode = truncate")
            db.execute("pragma synchronous = full")
            sound = db.execute("pragma quick_check").fetchone()[0] == "ok"
            db.executescript(_SCHEMA)
        except sqlite3.DatabaseError:
            sound = False
        if not sound:
            raise CheckpointError(
                "checkpoint.db is damaged",
                where=str(self.path),
                hint="restore a copy of the directory, or start afresh with a new path",
            )
        return db

    def _claim(self, pipeline: str) -> None:
        owner = self._meta("pipeline")
        if owner not in (None, pipeline):
            raise CheckpointError(
                f"this checkpoint belongs to pipeline {owner!r}, not {pipeline!r}",
                where=str(self.path),
                hint="give this pipeline a `checkpoint: {path: ...}` of its own",
            )
        self.generation = int(self._meta("generation") or 0) + 1
        with self._transaction():
            self._set("pipeline", pipeline)
            self._set("generation", str(self.generation))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing; a database that cannot be written stops the run."""
        try:
            with self._db:
                yield
        except sqlite3.Error as error:
            raise StopError(
                f"the checkpoint cannot be written: {error}",
                where=str(self.path),
                hint="free space or mend the device, then start again: nothing is lost",
            ) from error

    def _check_owner(self) -> None:
        if self._meta("generation") != str(self.generation):
            raise CheckpointError("another run has taken over the checkpoint", where=str(self.path))

    def _meta(self, key: str) -> str | None:
        found = self._db.execute("select value from meta where key = ?", (key,)).fetchone()
        return found[0] if found else None

    def _starts(self) -> int:
        return int(self._meta("starts") or 0)

    def _set(self, key: str, value: str) -> None:
        self._db.execute("insert or replace into meta values (?, ?)", (key, value))

    def _intent(self) -> Epoch | None:
        found = self._db.execute("select epoch, record from intent").fetchone()
        return Epoch(found[0], json.loads(found[1])) if found else None

    def _offsets(self) -> dict[str, dict[str, dict[str, Any]]]:
        offsets: dict[str, dict[str, dict[str, Any]]] = {}
        for source, partition, text in self._db.execute("select * from offsets"):
            offsets.setdefault(source, {})[partition] = json.loads(text)
        return offsets

    def _save_offsets(self, epoch: Epoch) -> None:
        self._db.executemany("delete from offsets where (source, partition) = (?, ?)", epoch.gone)
        rows = [(*key, json.dumps(dict(offset))) for key, offset in epoch.offsets.items()]
        self._db.executemany("insert or replace into offsets values (?, ?, ?)", rows)

    def _states(self) -> dict[str, Snapshot]:
        values = dict(self._db.execute("select step, value from vals"))
        found = {step: Snapshot({}, json.loads(text)) for step, text in values.items()}
        rows = self._db.execute("select step, name, digest from frames order by step, rowid")
        for step, name, digest in rows:
            frames = found.setdefault(step, Snapshot()).frames
            frames[name] = (*frames.get(name, ()), self._segments.read(digest))
        return found

    def _save_states(self, states: Mapping[str, Snapshot]) -> None:
        for step, now in states.items():
            before = self._last.get(step, Snapshot())
            for name in before.frames.keys() - now.frames.keys():
                self._forget(step, name)
            for name, segments in now.frames.items():
                if before.frames.get(name) is not segments:
                    self._forget(step, name)
                    rows = [
                        (step, name, at, self._segments.write(one))
                        for at, one in enumerate(segments)
                    ]
                    self._db.executemany("insert into frames values (?, ?, ?, ?)", rows)
            if now.values != before.values or step not in self._last:
                text = json.dumps(now.values)
                self._db.execute("insert or replace into vals values (?, ?)", (step, text))

    def _forget(self, step: str, name: str) -> None:
        self._db.execute("delete from frames where step = ? and name = ?", (step, name))
