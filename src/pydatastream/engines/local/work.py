"""Stage two, event by event: rows, clock ticks and ends go through the steps, in epochs."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from pydatastream.checkpoints import Epoch
from pydatastream.core.batch import CLOCK
from pydatastream.core.plan import Plan, SourceNode
from pydatastream.core.times import FOREVER, Micros, utc_text
from pydatastream.engines.local.dead_letters import Graveyard
from pydatastream.engines.local.events import (
    Arrived,
    Done,
    Event,
    Failed,
    Opened,
    Released,
    Slice,
    Tick,
    to_json,
)
from pydatastream.engines.local.execution import Executor
from pydatastream.engines.local.ledger import Ledger
from pydatastream.engines.local.watermarks import NEVER, Watermarks

Clocked = tuple[pl.DataFrame, Micros]
"""Rows, and the clock before they came."""


class Work:
    """What happens between two epochs: the same events give the same rows and the same state."""

    def __init__(
        self,
        plan: Plan,
        executor: Executor,
        graveyard: Graveyard,
        clocks: Mapping[str, Watermarks],
        ledger: Ledger,
    ) -> None:
        self._executor, self._graveyard, self._ledger = executor, graveyard, ledger
        self._clocks = clocks
        self._sources = {node.name: node for node in plan.sources}
        self._latest = _allowed_lateness(plan)
        self._events: list[Event] = []
        self._over: list[Done] = []  # sources that ended in epochs before: a replay must know
        self._began: float | None = None
        self.offsets: dict[tuple[str, str], Mapping[str, Any]] = {}
        self.gone: set[tuple[str, str]] = set()
        self.open_sources = set(self._sources)

    def take(self, item: Sequence[Arrived] | Event | Failed | Released) -> None:
        """Let one event happen, or several batches of one source as if they were one."""
        match item:
            case [*batches]:
                self._take_rows(batches)
            case Tick():
                self._take_tick(item)
            case Opened():
                self._record(item)
                self._clocks[item.source].open(item.partitions, item.gone, more=item.more)
            case Done():
                self._take_end(item)
            case Released():
                for partition in item.partitions:
                    self._take_end(Done(item.source, partition))
            case Failed():
                raise item.error
            case Slice():
                raise TypeError("a slice must be read before it can be taken")

    def age(self) -> float:
        """Seconds since the first event of this epoch; 0 if there was none."""
        return 0.0 if self._began is None else time.monotonic() - self._began

    def event_time(self) -> str | None:
        """How far event time has come, over the sources that go on; over all when none does."""
        clocks = [self._clocks[name] for name in self.open_sources or self._clocks]
        earliest = min(clock.watermark for clock in clocks)
        return utc_text(earliest) if earliest > NEVER else None

    def holding(self, source: str) -> Collection[str]:
        """The partitions that hold the clock of a source, or may do so again."""
        return self._clocks[source].greatest.keys()

    @property
    def begun(self) -> bool:
        """Whether anything happened that is worth an epoch."""
        return self._began is not None

    def record(self, *more: Event) -> dict[str, Any]:
        """What happened since the last epoch, and `more`, as plain data."""
        return {"events": [to_json(event) for event in (*self._over, *self._events, *more)]}

    def end_epoch(self, number: int) -> Epoch:
        """All that happened since the last call, and where it has led."""
        record = self.record()
        clocks = {name: clock.saved() for name, clock in self._clocks.items()}
        ends = [one for one in self._events if isinstance(one, Done)]
        self._over += [one for one in ends if one.partition is None]
        self._events, self._began = [], None
        offsets, self.offsets = self.offsets, {}
        gone, self.gone = self.gone, set()
        return Epoch(number, record, offsets, self._executor.snapshots(), clocks, gone)

    def move(self, offsets: Mapping[str, dict[str, dict[str, Any]]]) -> None:
        """Bring offsets, by source and partition, to where this epoch has led."""
        for source, partition in self.gone:
            offsets[source].pop(partition, None)
        for (source, partition), offset in self.offsets.items():
            offsets[source][partition] = dict(offset)

    def _take_rows(self, items: Sequence[Arrived]) -> None:
        """All rows go through the steps in one frame.

        How far event time has come the steps hear only after all of them: what is late is told
        by the clock that a row carries.
        """
        name = items[0].slice.source
        node, clock = self._sources[name], self._clocks[name]
        frames, watermark = [], clock.watermark
        for number, item in enumerate(items):
            self._arrived(item, joined=number > 0)
            frames.append(self._clocked(node, item))
            watermark = clock.seen(item.slice.partition, item.greatest)
        self._graveyard.at([item.slice for item in items])
        self._executor.take(node, _together(frames))
        self._advance(name, watermark)

    def _arrived(self, item: Arrived, *, joined: bool) -> None:
        piece = item.slice
        self._record(replace(piece, joined=joined))
        self._graveyard.at([piece])
        self._graveyard.bury_read(item.dead, piece.source)
        self._ledger.add(piece.source, "dead", item.dead.height)
        self.offsets[piece.source, piece.partition] = piece.end

    def _take_tick(self, tick: Tick) -> None:
        """Ticks come often while nothing else does: only one that made rows begins an epoch.

        Of several the last one is recorded, with how far all have moved the clock.
        """
        sent = self._ledger.total("sent")
        clock = self._clocks[tick.source]
        reached = clock.rest(tick.idle, tick.watermark)
        self._advance(tick.source, reached)
        last = self._events[-1] if self._events else None
        if isinstance(last, Tick) and last.source == tick.source:
            self._events.pop()
        self._events.append(replace(tick, watermark=reached))
        if self._ledger.total("sent") > sent:
            self._begin()

    def _take_end(self, done: Done) -> None:
        self._record(done)
        self._advance(done.source, self._clocks[done.source].done(done.partition))
        if done.partition is None:
            self.open_sources.discard(done.source)
        elif done.gone:
            self.offsets.pop((done.source, done.partition), None)
            self.gone.add((done.source, done.partition))

    def _advance(self, source: str, watermark: Micros) -> None:
        """Event time has come so far at a source, and so at those that come after it."""
        self._executor.advance(source, watermark)
        for name, node in self._sources.items():
            if node.source.after == source and watermark < FOREVER:
                self._advance(name, self._clocks[name].push(watermark))

    def _clocked(self, node: SourceNode, item: Arrived) -> Clocked:
        """The rows, with the clock at each one's arrival if some may be late."""
        clock, rows = self._clocks[node.name], item.rows
        if self._latest is None or node.flow.time is None or not rows.height:
            return rows, clock.watermark
        part, before = item.slice.partition, clock.watermark
        return clock.stamp(part, rows, node.flow.time, self._latest), before

    def _record(self, event: Event) -> None:
        self._events.append(event)
        self._begin()

    def _begin(self) -> None:
        self._began = self._began or time.monotonic()


def _allowed_lateness(plan: Plan) -> Micros | None:
    allowed = [step.operator.lateness_allowed() for step in plan.steps]
    return min((one for one in allowed if one is not None), default=None)


def _together(frames: Sequence[Clocked]) -> pl.DataFrame:
    """The rows in one frame; where some carry the clock, the others get that before they came."""
    rows = [frame for frame, _ in frames]
    if len({frame.width for frame in rows}) > 1:
        rows = [
            frame if CLOCK in frame.columns else frame.with_columns(pl.lit(before).alias(CLOCK))
            for frame, before in frames
        ]
    return pl.concat(rows) if len(rows) > 1 else rows[0]
