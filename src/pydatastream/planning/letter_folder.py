"""Files of dead letters: made for the first letter, and by default in a place of their own."""

from __future__ import annotations

import fcntl
import itertools
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, ClassVar

import polars as pl
from pydantic import SerializeAsAny

from pydatastream.catalog import catalog
from pydatastream.core import durable
from pydatastream.core.sink import Delivery, Sink, Write, Writer

HOME = Path(".pds")
"""Where a pipeline keeps what it does not name a place for, below the current directory."""


def letter_folder(pipeline: str, checkpoint: Path | None) -> LetterFolder:
    """The folder `dead` of the checkpoint, or without one `.pds/dead/<pipeline>`.

    A checkpoint and its dead letters belong together: who starts afresh has neither. Without
    one, several runs may be at work under one name.
    """
    word = re.sub(r"[^\w.-]", "_", pipeline)
    place = HOME / "dead" / word if checkpoint is None else checkpoint / "dead"
    form = catalog().find("format", "json")()
    files = catalog().find("sink", "file").model_validate({"path": f"{place}/", "format": form})
    return LetterFolder(files=files, shared=checkpoint is None)


def on_demand(sink: Sink | None) -> Sink | None:
    """A sink for dead letters; one that writes files waits for the first letter."""
    return LetterFolder(files=sink) if isinstance(sink, catalog().find("sink", "file")) else sink


def places_of(letters: Path) -> Iterator[Path]:
    """The folder, and those of runs that were at work under its name at the same time."""
    yield letters
    yield from sorted(letters.parent.glob(f"{letters.name}~*"))


def replays_of(letters: Path) -> Path:
    """The folder that holds what replays have made of letters."""
    return letters.with_name(f"{letters.name}-replay")


class LetterFolder(Sink):
    """Files that do not exist until a row needs them.

    Delivery: as the file sink, but a folder that was taken away is begun anew, without a word.
    A run of its own replaces the letters of the last one, those that were replayed included.
    """

    delivery: ClassVar[Delivery] = Delivery.AT_LEAST_ONCE

    files: SerializeAsAny[Sink]
    """The file sink that writes them."""
    shared: bool = False
    """Whether another run may be using the folder: then this one has `<folder>~2`, and so on."""
    apart: bool = False
    """Whether what others have left is never replaced: each opening has a folder of its own."""

    @property
    def path(self) -> str:
        """Where the letters are."""
        return str(self.files.path)  # type: ignore[attr-defined]

    def open(self, job: Write) -> Writer:
        """Start writing, if there is something to go on from."""
        if self.apart:
            return self._apart(f"{Path(self.path)}~{job.owner}/").open(job)
        own = _Own(Path(self.path), shared=self.shared)

        def opened() -> Writer:
            place = {"path": f"{own.take()}/"} if self.shared else {}
            return self.files.model_copy(update=place).open(job)

        return _WhenNeeded(own, opened, replaces=not job.durable)

    def _apart(self, place: str) -> LetterFolder:
        return LetterFolder(files=self.files.model_copy(update={"path": place}))


class _Own:
    """The folder that this run alone writes to: known once it is taken."""

    def __init__(self, first: Path, *, shared: bool) -> None:
        self._first, self._shared = first, shared
        self._lock: BinaryIO | None = None
        self.place: Path | None = None if shared else first

    def take(self) -> Path:
        """The folder, or the first beside it that no living run has."""
        self.place = self.place or self._free()
        return self.place

    def begun(self) -> bool:
        """Whether the last run has left letters here, or what has become of them."""
        old = self._first.exists() or replays_of(self._first).exists()
        return old and self.take().exists()

    def give_back(self) -> None:
        """Others may have it; it may be done twice."""
        if self._lock is not None:
            self._lock.close()

    def _free(self) -> Path:
        durable.make_directory(self._first.parent)
        others = (self._first.with_name(f"{self._first.name}~{n}") for n in itertools.count(2))
        return next(place for place in itertools.chain([self._first], others) if self._has(place))

    def _has(self, place: Path) -> bool:
        with durable.stopping(place):
            lock = place.with_name(f".{place.name}.lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            return False
        self._lock = lock
        return True


class _WhenNeeded:
    """A writer that is opened for its first row; once open, it takes part in every epoch."""

    def __init__(self, own: _Own, open_: Callable[[], Writer], *, replaces: bool) -> None:
        self._own, self._open, self._epoch, self._replaces = own, open_, 0, replaces
        self._writer = open_() if own.begun() else None

    def begin(self, epoch: int) -> None:
        self._epoch = epoch
        if self._writer is not None:
            self._writer.begin(epoch)

    def write(self, rows: pl.DataFrame) -> None:
        if self._writer is None:
            self._writer = self._open()
            self._writer.begin(self._epoch)
        self._writer.write(rows)

    def publish(self, epoch: int) -> None:
        if self._writer is not None:
            self._writer.publish(epoch)
        if self._replaces and self._own.place is not None:
            shutil.rmtree(replays_of(self._own.place), ignore_errors=True)
            self._replaces = False

    def published(self) -> int | None:
        return None if self._writer is None else self._writer.published()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._own.give_back()
