"""Rows of one source pulled by a loop, which says how far it has come: reading without a run."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from pydatastream.core.batch import Offset
from pydatastream.core.errors import RetryLater
from pydatastream.core.plan import SourceNode
from pydatastream.core.source import Read, Reader
from pydatastream.engines.local.events import Slice
from pydatastream.engines.local.ingest import Ingest
from pydatastream.engines.local.partitions import Partition
from pydatastream.engines.local.reading import LOOK_FOR_PARTITIONS, wall_clock
from pydatastream.engines.local.retry import Backoff


@dataclass(frozen=True, slots=True)
class Pulled:
    """Rows of one partition, what could not be read, and the position just after both."""

    piece: Slice
    rows: pl.DataFrame
    dead: pl.DataFrame

    @property
    def offset(self) -> Offset:
        """The position just after the last row."""
        return self.piece.end


class Pull:
    """Reads all partitions of a source in turn, in the thread that asks.

    What is away for a while is waited for. Nothing is committed but by `commit`. Iterating gives
    None after a round in which nothing came; it ends with the source, or after `stop`.
    """

    def __init__(self, node: SourceNode, job: Read, stop: threading.Event) -> None:
        self._node, self._job, self._stop = node, job, stop
        self._ingest, self._backoff = Ingest(node), Backoff(stop)
        self._partitions: dict[str, Partition] = {}
        self._ended: set[str] = set()
        self._looked = -LOOK_FOR_PARTITIONS

    def __iter__(self) -> Iterator[Pulled | None]:
        while not self._stop.is_set():
            self._look()
            came = False
            for one in list(self._partitions.values()):
                if (pulled := self._next(one)) is not None:
                    came = True
                    yield pulled
            if not self._partitions and self._node.source.bounded:
                return
            if not came:
                yield None

    @property
    def waiting_for(self) -> str | None:
        """What the source, or some partition of it, is waiting for, if any is."""
        backoffs = [self._backoff, *(one.backoff for one in self._partitions.values())]
        return next((one.waiting_for for one in backoffs if one.waiting_for), None)

    def commit(self, partition: str, offset: Offset) -> None:
        """Every row of a partition up to here is dealt with; its reader is told at once."""
        if partition in self._partitions:
            self._partitions[partition].acked = offset
            self._partitions[partition].commit()

    def close(self) -> None:
        """Stop reading; it may be done twice."""
        for one in self._partitions.values():
            one.close()
        self._partitions.clear()

    def _next(self, partition: Partition) -> Pulled | None:
        start = partition.offset
        try:
            batch = partition.next()
        except StopIteration:
            partition.close()
            self._ended.add(partition.name)
            del self._partitions[partition.name]
            return None
        if batch is None:
            return None
        now = wall_clock()
        partition.offset = batch.offset
        taken = self._ingest.take(batch, now)
        piece = Slice(self._node.name, partition.name, start, batch.offset, now)
        return Pulled(piece, taken.rows, taken.dead)

    def _look(self) -> None:
        """Find partitions that are new."""
        if time.monotonic() - self._looked < LOOK_FOR_PARTITIONS:
            return
        self._looked = time.monotonic()
        try:
            found = self._node.source.partitions()
        except RetryLater as error:
            if not self._partitions:
                self._backoff.wait(error)
            return
        self._backoff.reset()
        for name in found:
            if name not in self._partitions and name not in self._ended:
                self._partitions[name] = self._partition(name)

    def _partition(self, name: str) -> Partition:
        def opened(job: Read) -> Reader:
            return self._node.source.open(name, job)

        return Partition(name, self._job, opened, self._stop)
