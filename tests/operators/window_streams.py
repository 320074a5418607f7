"""Random streams, and a run of one operator over a stream however it is cut."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import polars as pl
from hypothesis import strategies as st

from pydatastream.core.batch import CLOCK, Refused, Routed
from pydatastream.core.operator import EventTime, Flow, Operator
from pydatastream.core.state import State
from pydatastream.core.times import EVENT_TIME, FOREVER

SECOND = 1_000_000
SCHEMA = pl.Schema({"k": pl.String, "ts": EVENT_TIME, "x": pl.Float64, "id": pl.Int64})
FLOW = Flow(SCHEMA, EventTime("ts"))


@dataclass(frozen=True)
class Event:
    """One row as it came: `clock` is the watermark just before, in seconds."""

    key: str | None
    at: int
    x: float | None
    id: int
    clock: int
    after: int

    @property
    def valid(self) -> bool:
        return self.x is not None and not math.isnan(self.x)


NEVER = -(10**9)


def stream(
    raw: Sequence[tuple[str | None, int, float | None, int]], partitions: int = 1
) -> list[Event]:
    """Events with the watermark: the least of the partitions' greatest times."""
    seen = dict.fromkeys(range(partitions), NEVER)
    events = []
    for number, (key, at, x, partition) in enumerate(raw):
        clock = min(seen.values())
        one = partition % partitions
        seen[one] = max(seen[one], at)
        events.append(Event(key, at, x, number, clock, min(seen.values())))
    return events


def streams(most: int = 60, span: int = 100, jitter: int = 25) -> st.SearchStrategy[list[Event]]:
    """Streams whose time goes on, with disorder, gaps, a few keys, nulls and NaN."""
    value = st.one_of(st.integers(-50, 50).map(float), st.sampled_from([None, math.nan]))
    row = st.tuples(st.sampled_from("abc"), st.integers(0, jitter), value, st.integers(0, 1))

    def rising(rows: list[Any], partitions: int, speed: int) -> list[Event]:
        raw = [
            (key, n * speed // 4 + at - 10, x, part) for n, (key, at, x, part) in enumerate(rows)
        ]
        return stream(raw, partitions)

    rows = st.lists(row, min_size=1, max_size=most)
    return st.builds(rising, rows, st.integers(1, 2), st.integers(0, 4 * span // most))


def frame(events: Iterable[Event]) -> pl.DataFrame:
    """The rows, with CLOCK if one of them is older than the watermark was."""
    events = list(events)
    rows = pl.DataFrame(
        [(e.key, e.at * SECOND, e.x, e.id, e.clock * SECOND) for e in events],
        schema={"k": pl.String, "ts": pl.Int64, "x": pl.Float64, "id": pl.Int64, CLOCK: pl.Int64},
        orient="row",
    ).cast({"ts": EVENT_TIME})
    return rows if any(e.at < e.clock for e in events) else rows.drop(CLOCK)


@dataclass
class Ran:
    """What came out."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)


def run(
    operator: Operator,
    events: Sequence[Event],
    cuts: Iterable[int] = (),
    *,
    flow: Flow = FLOW,
    restart: bool = True,
) -> Ran:
    """Run over the stream cut at those places, taken up from a snapshot after each piece.

    After each piece: received = passed + late + refused + released + held; nothing was mutated.
    """
    ran, state, released, received = Ran(), State(), 0, 0
    kernel = operator.open(state, flow)
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(events)}), len(events)]
    for start, stop in pairwise(edges):
        rows = frame(events[start:stop])
        before = rows.clone().to_dict(as_series=False)
        _sort(ran, [*kernel.on_batch(rows)], operator, flow)
        assert repr(rows.to_dict(as_series=False)) == repr(before)
        _sort(ran, [*kernel.on_watermark(events[stop - 1].after * SECOND)], operator, flow)
        received += rows.height
        assert received == _left(ran, operator) + released + kernel.released + kernel.held()
        if restart:
            released += kernel.released
            state = State(state.snapshot())
            kernel = operator.open(state, flow)
    _sort(ran, [*kernel.on_watermark(FOREVER)], operator, flow)
    assert received == _left(ran, operator) + released + kernel.released + kernel.held()
    return ran


def _left(ran: Ran, operator: Operator) -> int:
    """Rows that came out as themselves, as the engine counts them."""
    passed = 0 if operator.aggregates else len(ran.rows)
    return passed + len(ran.late) + len(ran.refused)


def _sort(ran: Ran, emitted: Iterable[Any], operator: Operator, flow: Flow) -> None:
    for one in emitted:
        if isinstance(one, Routed):
            assert one.port == "late"
            ran.late += one.rows["id"].to_list()
        elif isinstance(one, Refused):
            ran.refused += [(number, one.error) for number in one.rows["id"]]
        else:
            rows = one.drop(CLOCK, strict=False)
            assert rows.schema == operator.flow(flow).schema
            ran.rows += rows.to_dicts()


def seconds(moment: Any) -> int:
    """A datetime as whole seconds since 1970."""
    return round(moment.timestamp())


def summary(events: Sequence[Event]) -> tuple[int, float | None, float | None]:
    """Rows, sum and greatest of the valid values."""
    values = [event.x for event in events if event.valid]
    return len(events), sum(values) if values else None, max(values) if values else None


TOTALS = {"n": "count(*)", "total": "sum(x)", "hi": "max(x)"}
CUTS = st.lists(st.integers(0, 60), max_size=8)
