"""The sink of numbers: `idx_data.dat` says how many records are everywhere they belong."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import ClassVar

import polars as pl
from pydantic import Field

from pydatastream.apps.cdr.records import INDEX
from pydatastream.core import durable
from pydatastream.core.errors import StopError
from pydatastream.core.faults import fault_point
from pydatastream.core.sink import Delivery, Sink, Write, Writer

log = logging.getLogger("pydatastream.cdr")


class ProgressSink(Sink):
    """Keep the number of the next record in a file, and log each pair of files that is done.

    Delivery: effectively once. The file is replaced, at once and durably, with each epoch. As
    the last output of a pipeline it is behind all others: what it counts is in each of them.
    """

    delivery: ClassVar[Delivery] = Delivery.EFFECTIVELY_ONCE

    path: str = Field(min_length=1)
    """The file: {"index": 42000, "epoch": 7}."""
    lines: int = Field(gt=0)
    """Records of each kind in a file."""

    def open(self, job: Write) -> Writer:  # noqa: ARG002 - it is like that in every run
        """Start writing."""
        return ProgressWriter(Path(self.path), self.lines)


class ProgressWriter:
    """Holds the number of an epoch until it is published."""

    def __init__(self, path: Path, lines: int) -> None:
        self._path, self._lines = path, lines
        durable.make_directory(path.parent)
        found = progress(path)
        self._index, self._last = found.get(INDEX, 0), found.get("epoch")
        self._next = self._index

    def begin(self, epoch: int) -> None:  # noqa: ARG002 - publish names it
        self._next = self._index

    def write(self, rows: pl.DataFrame) -> None:
        self._next = rows.item(-1, INDEX) + 1 if rows.height else self._next

    def publish(self, epoch: int) -> None:
        if self._last is None or epoch > self._last:
            told = json.dumps({INDEX: self._next, "epoch": epoch})
            durable.replace(self._path, f"{told}\n".encode())
            fault_point("cdr.progressed")
            for _ in range(files(self._next, self._lines) - files(self._index, self._lines)):
                log.info("Generated 2 cdr files...")
            self._index, self._last = self._next, epoch

    def published(self) -> int | None:
        return self._last

    def close(self) -> None:
        """Nothing is open."""


def files(records: int, lines: int) -> int:
    """So many files hold so many records of one kind.

    >>> files(864_000, 1000), files(86_400, 1000)
    (864, 87)
    """
    return -(-records // lines)


def progress(path: Path) -> dict[str, int]:
    """What the file says; nothing if it is not there."""
    with durable.stopping(path):
        text = path.read_text() if path.exists() else "{}"
    try:
        return {name: int(value) for name, value in json.loads(text).items()}
    except (ValueError, AttributeError, TypeError):
        hint = "remove it: the run goes on from its checkpoint"
        raise StopError("this file of progress is damaged", where=str(path), hint=hint) from None
