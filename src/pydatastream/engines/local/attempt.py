"""One attempt at a plan on this machine: recover, read, work, publish, commit."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import polars as pl

from pydatastream.checkpoints import Checkpoint, Epoch, Saved
from pydatastream.core.dead import LETTER_SCHEMA
from pydatastream.core.faults import fault_point
from pydatastream.core.plan import Plan, SourceNode
from pydatastream.core.sink import Sink
from pydatastream.core.source import Read
from pydatastream.engines.local.dead_letters import DEAD_LETTERS, Graveyard
from pydatastream.engines.local.events import (
    Arrived,
    Done,
    Event,
    Given,
    Released,
    Slice,
    from_json,
)
from pydatastream.engines.local.execution import Executor
from pydatastream.engines.local.joining import Rows, all_waiting, as_before, small, together
from pydatastream.engines.local.ledger import Ledger
from pydatastream.engines.local.outlets import Outlet
from pydatastream.engines.local.publishing import Publisher
from pydatastream.engines.local.reading import SourceThread, claims
from pydatastream.engines.local.recovery import agree, check_plan, emptying
from pydatastream.engines.local.report import RunReport, memory_bytes
from pydatastream.engines.local.rereading import read_again
from pydatastream.engines.local.retry import Backoff
from pydatastream.engines.local.settings import Settings
from pydatastream.engines.local.spool import opener
from pydatastream.engines.local.survival import (
    CAUTIOUS_EPOCHS,
    TRIES,
    child,
    deadly_rows,
    without,
)
from pydatastream.engines.local.terms import Terms
from pydatastream.engines.local.watermarks import Watermarks
from pydatastream.engines.local.work import Work

WAITING = 3
"""Batches waiting for the steps; when they are so many, the readers wait."""


class Attempt:
    """From a start to the end; what was read can go to others meanwhile: then to `BeginAgain`."""

    def __init__(self, plan: Plan, settings: Settings) -> None:
        self.plan, self.settings = plan, settings
        self._ledger, self._written = Ledger(), Ledger()
        self._began = time.monotonic()
        self._halt = threading.Event()
        self._feed: queue.Queue[Given] = queue.Queue(WAITING)
        self._threads: dict[str, SourceThread] = {}
        self._outlets: dict[str, Outlet] = {}
        self._backoffs: list[Backoff] = []
        self._store: Checkpoint | None = None
        self._sinks_at_rest: Callable[[], bool] = lambda: True
        self._held = self._forgotten = self._state_bytes = 0
        self._event_time: str | None = None
        self._epoch = 1
        self._terms = Terms(plan, settings)

    def run(self) -> None:
        """Run to the end, or until asked to stop."""
        try:
            self._prepare()
            self._loop()
            self._finish()
        finally:
            self._close()

    def report(self) -> RunReport:
        """What the run has done so far."""
        total, of = self._ledger.total, self._ledger.of
        refused = self._written.total("dead")
        return RunReport(
            rows_in=total("out") + sum(of(node.name, "dead") for node in self.plan.sources),
            rows_out=sum(of(output.name, "sent") for output in self.plan.outputs) - refused,
            filtered=total("filtered"),
            late=total("late"),
            dead=total("dead") + refused,
            aggregated=total("released"),
            held=self._held,
            epochs=self._epoch - 1,
            seconds=time.monotonic() - self._began,
            forgotten=self._forgotten,
            state_bytes=self._state_bytes,
            memory_bytes=memory_bytes(),
            event_time=self._event_time,
            waiting_for=self._waiting_for(),
        )

    def _waiting_for(self) -> str | None:
        waits = [one.waiting_for for one in self._threads.values()]
        waits += [one.waiting_for for one in list(self._backoffs)]
        return next((wait for wait in waits if wait), None)

    def _prepare(self) -> None:
        saved = self._recovered()
        clocks = {node.name: Watermarks(saved.clocks.get(node.name)) for node in self.plan.sources}
        fingerprint = self.plan.fingerprint()
        graveyard = Graveyard(self.settings.on_error, fingerprint, self._emit_letters)
        marks = {name: clock.watermark for name, clock in clocks.items()}
        self._executor = Executor(
            self.plan, saved.states, self._emit, graveyard, self._ledger, marks
        )
        self._work = Work(self.plan, self._executor, graveyard, clocks, self._ledger)
        self._epoch = self._first_epoch(saved)
        self._publisher = Publisher(
            self._outlets,
            self._store,
            self._written,
            self._acknowledge,
            graveyard.unwritable,
            self._epoch,
            partial(claims, self._threads),
            self._terms.carrier,
            intends=self._terms.exactly_once,
        )
        self._publisher.start()
        self._sinks_at_rest = self._publisher.abandon
        self._resume(saved)

    def _recovered(self) -> Saved:
        if self.settings.checkpoint is not None:
            self._store = Checkpoint(self.settings.checkpoint, self.plan.name)
            check_plan(self._store, self.plan)
        saved = self._store.load() if self._store else Saved(0, {}, {}, {}, None, 0)
        self._cautious = saved.starts > TRIES
        if self._store is not None:
            self._store.cautious = self._cautious
        for name, sink, schema in self._sinks():
            job = self._terms.job(name, schema)
            self._outlets[name] = Outlet(sink, job, self.settings.stop, waits=self._backoffs)
        if self._terms.exactly_once:
            agree(saved, self._outlets)
        if self._store is not None:
            self._store.begin()
        return saved

    def _first_epoch(self, saved: Saved) -> int:
        """At least once, an epoch that came only to some sinks is not gone on with."""
        markers = (
            [] if self._terms.exactly_once else [one.published for one in self._outlets.values()]
        )
        return max(saved.epoch, *(marker or 0 for marker in markers), 0) + 1

    def _sinks(self) -> Iterator[tuple[str, Sink, pl.Schema]]:
        """All sinks; that of dead letters is last, for what the others refuse goes there."""
        for output in self.plan.outputs:
            yield output.name, output.sink, output.flow.schema
        if self.settings.dead_letters is not None:
            yield DEAD_LETTERS, self.settings.dead_letters, LETTER_SCHEMA

    def _resume(self, saved: Saved) -> None:
        offsets = {node.name: dict(saved.offsets.get(node.name, {})) for node in self.plan.sources}
        self._open = opener(self._store.path if self._store else None)
        if self._store is not None and saved.intent is not None:
            with emptying(self._store):
                self._replay(saved.intent)
            self._work.move(offsets)
            self._end_epoch()
        ends = {name: threading.Event() for name in self._work.open_sources}
        for node in self.plan.sources:
            known = offsets[node.name], self._work.holding(node.name)
            self._threads[node.name] = SourceThread(
                node, *known, self._feed, self._halt, self._job(node), self._open, ends
            )

    def _replay(self, intent: Epoch) -> None:
        events = map(from_json, intent.record["events"])
        for item in together(map(self._again, events), as_before):
            self._work.take(item)
        if self._cautious and self._store is not None:
            self._cautious = self._store.cautious = False  # whatever killed it has been found

    def _again(self, piece: Event) -> Arrived | Event:
        if not isinstance(piece, Slice):
            return piece
        node = next(node for node in self.plan.sources if node.name == piece.source)
        arrived = read_again(node, piece, self._job(node), self._open, self.settings.stop)
        self._ledger.add(node.name, "read", arrived.rows.height + arrived.dead.height)
        if not self._cautious or self.settings.command is None:
            return arrived
        survives = child(self.settings.command, piece)
        return without(arrived, deadly_rows(survives, 0, arrived.rows.height))

    def _job(self, node: SourceNode) -> Read:
        return Read(node.reads, rows=self.settings.rows, bytes=self.settings.bytes)

    def _loop(self) -> None:
        for name in self._work.open_sources:
            self._threads[name].start()
        while self._work.open_sources and not self.settings.stop.is_set():
            self._publisher.check()
            self._take_next()
            self._end_due_epoch()

    def _take_next(self) -> None:
        waiting = all_waiting(self._feed, WAITING, 0.02)
        for item in together(waiting, partial(small, most=self.settings.rows)):
            if isinstance(item, list) and self._store is not None and self._cautious:
                self._take_cautiously(item, self._store)
            else:
                self._work.take(item)
            if isinstance(item, Released):
                self._end_epoch()
                self._publisher.settle()
                item.settled.set()
            self._end_due_epoch()

    def _take_cautiously(self, items: list[Arrived], store: Checkpoint) -> None:
        """Each batch as an epoch of its own, on record before any step sees it."""
        for item in items:
            if self._work.begun:
                self._end_epoch()
            self._publisher.settle()
            store.intend(Epoch(self._epoch, self._work.record(item.slice)))
            self._work.take([item])
            self._end_epoch()
        self._cautious = store.cautious = self._publisher.epochs < CAUTIOUS_EPOCHS

    def _end_due_epoch(self) -> None:
        """A run of its own with an end is one epoch, published as a whole."""
        if not self._work.begun or self._terms.single:
            return
        if self._work.age() >= self.settings.interval / 1e6:
            self._end_epoch()

    def _end_epoch(self) -> None:
        self._publisher.give(self._work.end_epoch(self._epoch))
        fault_point("epoch.executed")
        self._epoch += 1
        self._look()

    def _look(self) -> None:
        """What the report shows of the steps; only their own thread may ask them."""
        self._held, self._forgotten, self._state_bytes = self._executor.sizes()
        self._event_time = self._work.event_time()

    def _emit(self, output: str, rows: pl.DataFrame) -> None:
        self._publisher.give(Rows(output, rows))

    def _emit_letters(self, letters: pl.DataFrame) -> None:
        if DEAD_LETTERS in self._outlets:
            self._publisher.give(Rows(DEAD_LETTERS, letters))

    def _acknowledge(self, epoch: Epoch) -> None:
        for (source, partition), offset in epoch.offsets.items():
            if source in self._threads:
                self._threads[source].acknowledge(partition, offset)

    def _finish(self) -> None:
        stopped = bool(self._work.open_sources)
        if self._store is None:
            for name in sorted(self._work.open_sources):
                self._work.take(Done(name, None))
        if self._work.begun or self._terms.single:
            self._end_epoch()
        self._publisher.finish()
        if self._store is not None:
            self._store.rest()
        self._check(stopped)

    def _check(self, stopped: bool) -> None:
        self._executor.check()
        for name, thread in self._threads.items():
            if not stopped:
                self._ledger.add(name, "read", thread.rows_read)
                self._ledger.check_source(name)
        whole = Ledger()
        whole.absorb(self._ledger)
        whole.absorb(self._written)
        for output in self.plan.outputs:
            whole.check_output(output.name)

    def _close(self) -> None:
        self._halt.set()
        for thread in self._threads.values():
            if thread.is_alive():
                thread.join(timeout=5)
        if not self._sinks_at_rest():
            return  # only the end of the process may take from a sink at work what it holds
        for outlet in self._outlets.values():
            outlet.close()
        if self._store is not None:
            self._store.close()
