"""What has ended is known to a replay, and yet a record does not grow with it.

Else windows would close in another epoch, or each epoch would cost more than the one before.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import polars as pl
from engine_parts import FLOW, RAW, KeepSink, RowsSource
from hypothesis import given
from hypothesis import strategies as st

from pydatastream.checkpoints import Epoch
from pydatastream.core.batch import no_dead
from pydatastream.core.plan import Output, Plan, SourceNode, Step
from pydatastream.core.state import Snapshot
from pydatastream.core.times import EVENT_TIME
from pydatastream.engines.local.dead_letters import Graveyard
from pydatastream.engines.local.events import (
    Arrived,
    Done,
    Event,
    Opened,
    Slice,
    Tick,
    from_json,
)
from pydatastream.engines.local.execution import Executor
from pydatastream.engines.local.ledger import Ledger
from pydatastream.engines.local.watermarks import NEVER, Watermarks
from pydatastream.engines.local.work import Work
from pydatastream.operators.tumbling import Tumbling
from pydatastream.operators.union import Union

SOURCES = ("few", "many")


def windows_of_two() -> Plan:
    """Two sources, and windows over the rows of both."""
    source = RowsSource(time="ts", time_unit="us")
    nodes = tuple(SourceNode(name, source, RAW, FLOW) for name in SOURCES)
    windows = Tumbling(size="10s", aggregate={"n": "count(*)", "last": "max(id)"})
    flow = windows.flow(FLOW)
    steps = (Step("both", Union(), SOURCES, FLOW), Step("windows", windows, ("both",), flow))
    return Plan("ended", nodes, steps, (Output("out", KeepSink(), "windows", flow),))


PLAN = windows_of_two()


@dataclass
class Bench:
    """The work of a run that begins where an epoch has led."""

    before: Epoch = field(default_factory=lambda: Epoch(0, {}))
    given: list[pl.DataFrame] = field(default_factory=list)

    def __post_init__(self) -> None:
        ledger, saved = Ledger(), json.loads(json.dumps(self.before.clocks))
        clocks = {name: Watermarks(saved.get(name)) for name in SOURCES}
        graveyard = Graveyard("fail", "", lambda _: None)
        marks = {name: clock.watermark for name, clock in clocks.items()}
        states = self.before.states
        emit = lambda _, rows: self.given.append(rows)  # noqa: E731
        executor = Executor(PLAN, states, emit, graveyard, ledger, marks)
        self.work = Work(PLAN, executor, graveyard, clocks, ledger)

    def take(self, event: Event) -> None:
        """Let an event happen; the rows of a slice are told by where it begins and ends."""
        self.work.take([_arrived(event)] if isinstance(event, Slice) else event)

    def end(self) -> Epoch:
        """What is committed: through JSON, as a checkpoint keeps it."""
        return self.work.end_epoch(self.before.number + 1)


def _arrived(piece: Slice) -> Arrived:
    chance = Random(f"{piece.source} {piece.partition} {piece.end}")
    first = piece.end["second"]
    times = [first + chance.randrange(9) for _ in range(3)]
    stamps = pl.Series([at * 1_000_000 for at in times]).cast(EVENT_TIME)
    rows = pl.DataFrame({"id": times, "ts": stamps})
    return Arrived(piece, rows, no_dead(), max(times) * 1_000_000)


class History:
    """What a run meets: files are opened in turn, read, silent and done; at last a source ends."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.waiting = {n: [f"{n}{k}" for k in range(chance.randrange(1, 7))] for n in SOURCES}
        self.reading: dict[str, dict[str, int]] = {name: {} for name in SOURCES}
        self.silent: dict[str, set[str]] = {name: set() for name in SOURCES}

    def epochs(self) -> Iterator[list[Event]]:
        """All events, epoch by epoch."""
        going, epoch = list(SOURCES), list[Event]()
        while going:
            name = self.chance.choice(going)
            epoch.append(event := self._next(name))
            if isinstance(event, Done) and event.partition is None:
                going.remove(name)
            if self.chance.random() < 0.3 or not going:
                yield epoch
                epoch = []

    def _next(self, name: str) -> Event:
        waiting, reading, silent = self.waiting[name], self.reading[name], self.silent[name]
        if waiting and len(reading) < 2:
            one = waiting.pop(0)
            reading[one] = self.chance.randrange(20)
            return Opened(name, [one], more=bool(waiting))
        if not reading:
            return Done(name, None)
        one, dice = self.chance.choice(list(reading)), self.chance.randrange(5)
        if dice == 0:
            silent.add(one)
            return Tick(name, sorted(silent), NEVER)
        silent.discard(one)
        if dice == 1:
            del reading[one]
            return Done(name, one, gone=self.chance.random() < 0.5)
        reading[one] += self.chance.randrange(15)
        return Slice(name, one, None, {"second": reading[one]}, now=0)


@given(st.integers(0, 2**32))
def test_an_epoch_that_is_run_again_gives_the_same(seed: int) -> None:
    bench = Bench()
    for events in History(Random(seed)).epochs():
        known = len(bench.given)
        for event in events:
            bench.take(event)
        epoch = bench.end()
        again = Bench(bench.before)
        for data in json.loads(json.dumps(epoch.record))["events"]:
            again.take(from_json(data))
        assert _rows(again.given) == _rows(bench.given[known:])
        assert _saved(again.end()) == _saved(epoch)
        bench.before = epoch


def _rows(frames: list[pl.DataFrame]) -> list[tuple[Any, ...]]:
    return [row for frame in frames for row in frame.rows()]


def _saved(epoch: Epoch) -> Any:
    states = {name: _plain(one) for name, one in epoch.states.items()}
    return epoch.clocks, epoch.offsets, epoch.gone, states


def _plain(state: Snapshot) -> Any:
    rows = {name: _rows([one.rows for one in few]) for name, few in state.frames.items()}
    return rows, state.values


def test_a_record_does_not_grow_with_partitions_that_have_ended() -> None:
    sizes = []
    for count in (3, 300):
        bench = Bench()
        for number in range(count):
            bench.take(Opened("many", [f"{number}"], more=True))
            bench.take(Slice("many", f"{number}", None, {"second": number}, now=0))
            bench.take(Done("many", f"{number}"))
        bench.end()
        bench.take(Opened("many", ["next"], more=True))
        epoch = bench.end()
        sizes.append(len(json.dumps(epoch.record) + json.dumps(epoch.clocks["few"])))
        assert len(json.dumps(epoch.clocks["many"])) < 200
    assert sizes[0] == sizes[1]


def test_of_a_partition_that_cannot_come_back_no_offset_stays() -> None:
    bench, offsets = Bench(), {"many": {"old": {"second": 1}}}
    bench.take(Slice("many", "old", None, {"second": 2}, now=0))
    bench.take(Done("many", "old", gone=True))
    bench.work.move(offsets)
    assert offsets == {"many": {}}
    bench.take(Slice("many", "old", None, {"second": 3}, now=0))
    bench.work.move(offsets)
    assert offsets == {"many": {"old": {"second": 3}}}


def test_a_record_tells_which_sources_had_ended() -> None:
    bench = Bench()
    bench.take(Done("few", None))
    bench.end()
    bench.take(Opened("many", ["next"]))
    assert [event["kind"] for event in bench.end().record["events"]] == ["done", "opened"]


def test_of_several_ticks_one_is_recorded_that_moves_the_clock_as_far() -> None:
    bench = Bench()
    bench.take(Opened("many", ["slow", "fast"]))
    bench.take(Slice("many", "slow", None, {"second": 10}, now=0))
    bench.take(Slice("many", "fast", None, {"second": 90}, now=0))
    bench.take(Tick("many", ["slow"], NEVER))
    bench.take(Tick("many", ["fast", "slow"], NEVER))
    epoch = bench.end()
    (tick,) = [event for event in epoch.record["events"] if event["kind"] == "tick"]
    assert tick["watermark"] == epoch.clocks["many"]["watermark"] >= 90_000_000


def test_what_is_gone_since_the_last_run_holds_no_windows_open() -> None:
    clock = Watermarks()
    clock.open(["old", "new"])
    clock.seen("old", 5)
    clock.seen("new", 7)
    again = Watermarks(json.loads(json.dumps(clock.saved())))
    again.open(["new"], gone=["old"])
    assert again.seen("new", 9) == 9


def test_those_still_to_be_opened_hold_the_clock() -> None:
    clock = Watermarks()
    clock.open(["first"], more=True)
    assert clock.seen("first", 5) == NEVER
    assert clock.others("first") == NEVER
    clock.done("first")
    clock.open(["last"])
    assert clock.seen("last", 7) == 7
