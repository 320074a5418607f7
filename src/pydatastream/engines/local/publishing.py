"""Stage three: a thread writes to the sinks, publishes epochs and commits them, in this order."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import polars as pl

from pydatastream.checkpoints import Checkpoint, Epoch
from pydatastream.core.batch import Refused
from pydatastream.core.dead import LETTER_SCHEMA
from pydatastream.core.faults import fault_point
from pydatastream.core.share import Claim
from pydatastream.engines.local.dead_letters import DEAD_LETTERS
from pydatastream.engines.local.joining import Rows, all_waiting, by_output
from pydatastream.engines.local.ledger import Ledger
from pydatastream.engines.local.outlets import Outlet

Item = Rows | Epoch | None
QUEUED = 8
"""Frames waiting for the sinks; when they are so many, the steps wait."""

Refuse = Callable[[str, pl.DataFrame, str], pl.DataFrame | None]
"""The dead letters of rows that the sink of an output refuses, if there are to be any."""

PATIENCE = 5.0
"""Seconds to wait for a sink at work when the run has failed."""


class Publisher(threading.Thread):
    """Writes rows as they come, and makes each epoch durable as a whole."""

    def __init__(
        self,
        outlets: Mapping[str, Outlet],
        store: Checkpoint | None,
        ledger: Ledger,
        acknowledge: Callable[[Epoch], None],
        refuse: Refuse,
        first: int,
        claims: Callable[[Epoch], Sequence[Claim]] = lambda _: (),
        carrier: str | None = None,
        *,
        intends: bool,
    ) -> None:
        super().__init__(name="publish", daemon=True)
        self._outlets, self._store, self._ledger = outlets, store, ledger
        self._acknowledge, self._refuse = acknowledge, refuse
        self._items: queue.Queue[Item] = queue.Queue(QUEUED)
        self._next, self._intends, self._begun = first, intends, False
        self._first, self._claims, self._carrier = first, claims, carrier
        self._letters: dict[str, list[pl.DataFrame]] = {}
        self._abandoned = False
        self._committer = ThreadPoolExecutor(1, "commit")
        self._committing: Future[None] | None = None
        self.error: BaseException | None = None
        self.epochs = 0

    def give(self, item: Item) -> None:
        """Hand over rows, the end of an epoch, or None for the end of the run."""
        while True:
            self.check()
            with suppress(queue.Full):
                return self._items.put(item, timeout=0.1)

    def check(self) -> None:
        """Raise what the thread has died of, if it has."""
        if self.error is not None:
            raise self.error

    def settle(self) -> None:
        """Wait until everything given so far is written, and its epochs committed."""
        while self._items.unfinished_tasks and self.error is None:
            time.sleep(0.001)
        self.check()
        self._rest()

    def finish(self) -> None:
        """Wait until everything given is published."""
        self.give(None)
        self.join()
        self.check()

    def abandon(self) -> bool:
        """Begin nothing more; whether the thread is at rest, so that sinks may be closed.

        A sink closed at work could remove what it is about to promise.
        """
        self._abandoned = True
        end = time.monotonic() + PATIENCE
        while self.is_alive() and time.monotonic() < end:
            with suppress(queue.Full):
                self._items.put_nowait(None)
            self.join(0.01)
        return not self.is_alive()

    def run(self) -> None:
        """Work until the end of the run."""
        items: list[Item] = []
        try:
            while None not in items and not self._abandoned:
                items = all_waiting(self._items, QUEUED)
                for item in by_output(items):
                    self._take(item)
                for _ in items:
                    self._items.task_done()
            self._rest()
        except BaseException as error:  # noqa: BLE001 - the run must hear of it
            self.error = error
        finally:
            self._committer.shutdown()

    def _take(self, item: Rows | Epoch) -> None:
        if self._abandoned:
            return
        if isinstance(item, Epoch):
            self._publish(item)
        else:
            self._begin()
            refused = self._outlets[item.output].write(item.rows)
            self._ledger.add(item.output, "written", item.rows.height)
            self._set_aside(item.output, refused)

    def _set_aside(self, output: str, refused: Sequence[Refused]) -> None:
        """Rows that a sink refused become dead letters of the same epoch."""
        for one in refused:
            letters = self._refuse(output, one.rows, one.error)
            self._count_dead(output, one.rows.height)
            if letters is not None:
                self._letters.setdefault(output, []).append(letters)
                self._bury(letters)

    def _count_dead(self, output: str, rows: int) -> None:
        self._ledger.add(output, "written", -rows)
        self._ledger.add(output, "dead", rows)

    def _bury(self, letters: pl.DataFrame) -> None:
        if DEAD_LETTERS in self._outlets:
            again = self._outlets[DEAD_LETTERS].write(letters)
            self._set_aside(DEAD_LETTERS, again)

    def _settle(self, output: str, epoch: int) -> None:
        """Have all rows written; what the sink refused is on record before it shows the others.

        The dead letters are published last. If a crash comes before that, the sink is not asked
        again what it refused: it has the epoch already.
        """
        outlet = self._outlets[output]
        self._set_aside(output, outlet.settle())
        letters = self._letters.pop(output, [])
        if self._store is None or not self._intends:
            return
        if outlet.done:
            self._refused_before(self._store.refused(epoch, output), output)
        elif letters or epoch == self._first:
            self._store.refuse(epoch, output, _written(letters))

    def _refused_before(self, record: str | None, output: str) -> None:
        letters = _read(record or "[]")
        if letters.height:
            self._count_dead(output, letters.height)
            self._bury(letters)

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            for outlet in self._outlets.values():
                outlet.begin(self._next)

    def _publish(self, epoch: Epoch) -> None:
        self._begin()
        if self._store is not None and self._intends:
            self._store.intend(epoch)
        fault_point("epoch.intended")
        claims = self._claims(epoch)
        for output, outlet in self._outlets.items():
            self._settle(output, epoch.number)
            if output != self._carrier:
                outlet.publish(epoch.number)
                fault_point("epoch.published_one")
        if self._carrier is not None:
            self._outlets[self._carrier].publish(epoch.number, claims)
        fault_point("epoch.published")
        self._rest()
        unclaimed = claims if self._carrier is None else ()
        self._committing = self._committer.submit(self._commit, epoch, unclaimed)
        if self._intends:
            self._rest()
        self._begun, self._next = False, epoch.number + 1

    def _commit(self, epoch: Epoch, claims: Sequence[Claim] = ()) -> None:
        """Done in a thread of its own: at least once, the next rows go out meanwhile."""
        if self._store is not None:
            self._store.commit(epoch, self._outlets)
        for claim in claims:
            claim.commit()
        fault_point("epoch.committed")
        self._acknowledge(epoch)
        fault_point("epoch.acknowledged")
        self.epochs += 1

    def _rest(self) -> None:
        """Wait until the last epoch is committed."""
        if self._committing is not None:
            self._committing.result()


def _written(letters: Sequence[pl.DataFrame]) -> str:
    at = pl.col("at").to_physical()
    return json.dumps([row for one in letters for row in one.with_columns(at).rows()])


def _read(record: str) -> pl.DataFrame:
    stored = pl.Schema({**LETTER_SCHEMA, "at": pl.Int64()})
    return pl.DataFrame(json.loads(record), stored, orient="row").cast(LETTER_SCHEMA)
