"""Stage one: a thread per source reads and decodes while the steps are at work."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence

from pydatastream.checkpoints import Epoch
from pydatastream.core.batch import Batch, Offset
from pydatastream.core.errors import RetryLater
from pydatastream.core.faults import fault_point
from pydatastream.core.plan import SourceNode
from pydatastream.core.share import Claim, Share
from pydatastream.core.source import GONE, Read, Reader
from pydatastream.core.times import Micros, micros
from pydatastream.engines.local.events import (
    Arrived,
    Done,
    Failed,
    Given,
    Opened,
    Released,
    Slice,
    Tick,
)
from pydatastream.engines.local.ingest import Ingest
from pydatastream.engines.local.partitions import Partition
from pydatastream.engines.local.retry import Backoff
from pydatastream.engines.local.spool import Opener
from pydatastream.engines.local.watermarks import NEVER

LOOK_FOR_PARTITIONS, LOOK_AT_SHARE = 1.0, 0.1
"""Seconds between two looks for new partitions of a stream without end; for what is ours."""

AT_ONCE = 4
"""Partitions of a source with an end that are read at a time."""


def wall_clock() -> Micros:
    """Now, in microseconds since 1970."""
    return time.time_ns() // 1_000


class SourceThread(threading.Thread):
    """Reads all partitions of one source in turn and feeds the steps.

    A source that comes after another begins to listen at once, but gives nothing before that one
    has ended. `ends` has an event for each source that is still to end; `held` the partitions
    that hold the clock since the last run.
    """

    def __init__(
        self,
        node: SourceNode,
        offsets: Mapping[str, Offset],
        held: Collection[str],
        feed: queue.Queue[Given],
        stop: threading.Event,
        job: Read,
        open_: Opener,
        ends: Mapping[str, threading.Event],
    ) -> None:
        super().__init__(name=f"read-{node.name}", daemon=True)
        self._node, self._feed, self._stop_asked, self._job = node, feed, stop, job
        self._open = open_
        self._ends, self._turn = ends, ends.get(node.source.after or "")
        self._offsets, self._held = dict(offsets), set(held)
        self._ingest = Ingest(node)
        self._queue: deque[str] = deque()
        self._partitions: dict[str, Partition] = {}
        self._ended: set[str] = set()
        self._rested: set[str] = set()
        self._idle_after = micros(node.source.idle_timeout) / 1e6
        self._backoff = Backoff(stop)
        self._looked = 0.0
        self.share: Share | None = None
        self._nothing = 0
        self.rows_read = 0

    def run(self) -> None:
        """Read until the end, or until asked to stop."""
        try:
            self._read_all()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the run must hear of it
            self._put(Failed(error))
        finally:
            self._close()

    @property
    def waiting_for(self) -> str | None:
        """What the source, or some partition of it, is waiting for, if any is."""
        backoffs = [self._backoff, *(one.backoff for one in list(self._partitions.values()))]
        return next((one.waiting_for for one in backoffs if one.waiting_for), None)

    def acknowledge(self, partition: str, offset: Offset) -> None:
        """Every row up to here is durable in every sink; told to the reader by its own thread.

        A shared source has been told by the claim of the epoch.
        """
        if self.share is None and partition in self._partitions:
            self._partitions[partition].acked = offset

    def _read_all(self) -> None:
        while not self._stop_asked.is_set():
            self._look_for_partitions()
            self._open_next()
            began = time.monotonic()
            came = [self._read_one(one) for one in list(self._partitions.values())]
            if not self._partitions and not self._queue and self._node.source.bounded:
                self._put(Done(self._node.name, None))
                self._ends[self._node.name].set()
                return
            self._pause(any(came), time.monotonic() - began)

    def _pause(self, came: bool, waited: float) -> None:
        """Ask less often while nothing comes; a reader that has waited itself is asked at once."""
        self._nothing = 0 if came else min(self._nothing + 1, 10)
        if not came:
            self._rest()
            time.sleep(max(0.0, self._nothing / 1000 - waited))

    def _look_for_partitions(self) -> None:
        every = LOOK_AT_SHARE if self.share else LOOK_FOR_PARTITIONS
        due = time.monotonic() - self._looked > every
        if self._looked and (self._node.source.bounded or not due):
            return
        first, self._looked = not self._looked, time.monotonic()
        known = self._partitions.keys() | self._ended
        there = self._there()
        if first:
            self._check_gone(set(there))
        self._queue.extend(name for name in there if name not in known)

    def _check_gone(self, there: Collection[str]) -> None:
        gone = {name: at for name, at in self._offsets.items() if name not in there}
        if gone and not self._stop_asked.is_set():
            self._node.source.check_gone(gone)
        self._held.difference_update(there)

    def _open_next(self) -> None:
        """Open those whose turn it is: of a source with an end, few at a time."""
        room = AT_ONCE - len(self._partitions) if self._node.source.bounded else len(self._queue)
        names = [self._queue.popleft() for _ in range(min(room, len(self._queue)))]
        self._partitions |= {name: self._partition(name) for name in names}
        if names:
            gone, self._held = sorted(self._held), set()
            self._put(Opened(self._node.name, names, gone, more=bool(self._queue)))

    def _there(self) -> Sequence[str]:
        """The partitions that there are; none new while the source cannot be asked."""
        while not self._stop_asked.is_set():
            try:
                found = self._asked()
            except RetryLater as error:
                self._backoff.note(error)
                if self._partitions:  # they are read on meanwhile
                    return []
                self._backoff.wait(error)
            else:
                self._backoff.reset()
                return found
        return []

    def _asked(self) -> Sequence[str]:
        source = self._node.source
        if source.shared and self.share is None:
            self.share = source.share(self._let_go)
        return self.share.partitions() if self.share else source.partitions()

    def _let_go(self) -> None:
        """Read no further, and wait until all that was read is published and claimed."""
        released = Released(self._node.name, list(self._partitions))
        self._close_partitions()
        self._put(released)
        while not released.settled.wait(0.05) and not self._stop_asked.is_set():
            pass

    def _close_partitions(self) -> None:
        for partition in self._partitions.values():
            partition.close()
        self._partitions.clear()

    def _close(self) -> None:
        self._close_partitions()
        if self.share is not None:
            self.share.close()

    def _partition(self, name: str) -> Partition:
        job = Read(self._job.schema, self._offsets.get(name), None, self._job.rows, self._job.bytes)

        def opened(again: Read) -> Reader:
            return self._open(self._node, name, again)

        return Partition(name, job, opened, self._stop_asked)

    def _read_one(self, partition: Partition) -> bool:
        try:
            batch = partition.next()
        except StopIteration as end:
            self._end(partition, gone=end.value is GONE)
            return True
        if batch is not None:
            self._give(partition, batch)
        return batch is not None

    def _end(self, partition: Partition, *, gone: bool) -> None:
        partition.close()
        del self._partitions[partition.name]
        if gone:
            self._offsets.pop(partition.name, None)
        else:
            self._ended.add(partition.name)
        self._put(Done(self._node.name, partition.name, gone))

    def _give(self, partition: Partition, batch: Batch) -> None:
        now = wall_clock()
        taken = self._ingest.take(batch, now)
        piece = Slice(self._node.name, partition.name, partition.offset, batch.offset, now)
        partition.offset = batch.offset
        self._rested.discard(partition.name)
        self.rows_read += batch.rows.height + batch.dead.height
        self._put(Arrived(piece, taken.rows, taken.dead, taken.greatest))
        fault_point("epoch.ingested")

    def _rest(self) -> None:
        silent = {name for name, one in self._partitions.items() if self._is_idle(one)}
        if silent and silent == set(self._partitions) and not self._queue:
            behind = wall_clock() - round(self._idle_after * 1e6)
            self._put(Tick(self._node.name, sorted(silent), behind))
        elif silent - self._rested:
            self._put(Tick(self._node.name, sorted(silent), NEVER))
        self._rested = silent

    def _is_idle(self, partition: Partition) -> bool:
        since = partition.silent_since
        return since is not None and time.monotonic() - since >= self._idle_after

    def _put(self, item: Given) -> None:
        if self._turn is not None and isinstance(item, Arrived | Done):
            while not (self._turn.wait(0.1) or self._stop_asked.is_set()):
                continue
        while not self._stop_asked.is_set() or isinstance(item, Failed):
            try:
                self._feed.put(item, timeout=0.1)
            except queue.Full:
                continue
            return


def claims(threads: Mapping[str, SourceThread], epoch: Epoch) -> list[Claim]:
    """How far an epoch has read shared sources, for those that keep it themselves."""
    read: dict[str, dict[str, Offset]] = {}
    for (source, partition), offset in epoch.offsets.items():
        read.setdefault(source, {})[partition] = offset
    shares = {name: thread.share for name, thread in threads.items() if name in read}
    return [share.claim(read[name]) for name, share in shares.items() if share]
