"""Drop rows that came before."""

from __future__ import annotations

from bisect import bisect_left
from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from pydatastream.core.batch import CLOCK, Emission, Refused, Routed
from pydatastream.core.errors import SchemaError
from pydatastream.core.operator import EventTime, Flow, Kernel, Names, Operator
from pydatastream.core.state import State
from pydatastream.core.times import FOREVER, Duration, Micros, micros
from pydatastream.core.types import need, type_name

ROW, KEY, TIME, HASH = "__row", "__key", "__time", "__hash"
KEPT = "kept"
SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")
STALLED = 7 / 8
"""A round that leaves more than this of the rows undecided costs more than looking at each."""


class Dedupe(Operator):
    """Drop rows whose key came before, within a span of event time.

    The first row of a key to arrive is kept. A later one is a duplicate, and dropped, if a kept
    row of its key is less than `within` away in event time, before or after. A row more than
    `lateness` behind the watermark goes to the port `late`: what it might repeat is forgotten.

    A row with null in every key column is a dead letter, or passes unexamined with `nulls: keep`.
    State grows with the rows kept in `within + lateness`; the cost of a batch does not grow with
    the state. Many kept rows of one key in a batch (a short `within`) cost more.
    """

    primary: ClassVar[str | None] = "by"
    ports: ClassVar[tuple[str, ...]] = ("late",)
    example: ClassVar[str] = "- dedupe: {by: [device_id, n], within: 10m}"

    by: Names = Field(min_length=1)
    """The columns whose values together say which rows are the same."""
    within: Duration
    """How far apart in event time two rows are no longer the same."""
    lateness: Duration | None = None
    """How late a row may be; without it, as much as `within`."""
    nulls: Literal["dead_letter", "keep"] = "dead_letter"
    """What becomes of a row with null in every key column."""

    def lateness_allowed(self) -> Micros | None:
        return micros(self.lateness or self.within)

    def flow(self, *inputs: Flow) -> Flow:
        flow = inputs[0]
        flow.event_time()
        need(flow.schema, *self.by)
        nested = next((name for name in self.by if flow.schema[name].is_nested()), None)
        if nested:
            raise SchemaError(f"{nested!r} is {type_name(flow.schema[nested])}, which is no key")
        return flow

    def reads(self, needed: frozenset[str] | None) -> frozenset[str] | None:
        return None if needed is None else needed | frozenset(self.by)

    def open(self, state: State, *inputs: Flow) -> Kernel:
        return _Dedupe(self, state, inputs[0].event_time())


class _Dedupe(Kernel):
    def __init__(self, step: Dedupe, state: State, time: EventTime) -> None:
        self._by, self._nulls, self._state, self._time = step.by, step.nulls, state, time
        self._within, self._lateness = micros(step.within), step.lateness_allowed() or 0
        self._kept = _Kept(state, step.by, self._within, self._within + self._lateness)

    def on_batch(self, rows: pl.DataFrame, port: int = 0) -> Emission:  # noqa: ARG002
        keyless, timeless, late, usual = rows.select(self._kinds(rows)).get_columns()
        kept = self._first(self._kept.apart(self._candidates(rows, usual)))
        free = keyless.arg_true() if self._nulls == "keep" else keyless.arg_true()[:0]
        passed = rows[pl.concat([kept[ROW], free]).sort()]
        self._kept.add(kept)
        yield passed
        yield Routed("late", rows.filter(late))
        if self._nulls == "dead_letter" and keyless.any():
            yield Refused(rows.filter(keyless), f"the key is null: {', '.join(self._by)}")
        if timeless.any():
            yield Refused(rows.filter(timeless), f"the event time {self._time.column} is null")

    def on_watermark(self, watermark: Micros) -> Emission:
        if watermark < FOREVER:
            self._state.values["watermark"] = watermark
            self._kept.forget(watermark)
        return iter(())

    def _kinds(self, rows: pl.DataFrame) -> list[pl.Expr]:
        """Masks that part the rows: without a key, without a time, late, and all others."""
        keyless = pl.all_horizontal(pl.col(self._by).is_null())
        timeless = ~keyless & self._time.micros().is_null()
        late = ~keyless & (self._time.micros() + self._lateness < self._clock(rows))
        late = late.fill_null(False)
        kinds = [keyless, timeless, late, ~(keyless | timeless | late)]
        return [kind.alias(str(number)) for number, kind in enumerate(kinds)]

    def _clock(self, rows: pl.DataFrame) -> pl.Expr:
        if CLOCK in rows.columns:
            return pl.col(CLOCK)
        return pl.lit(self._state.values.get("watermark"), pl.Int64)

    def _candidates(self, rows: pl.DataFrame, usual: pl.Series) -> pl.DataFrame:
        numbered = rows.with_row_index(ROW).filter(usual)
        return numbered.select(ROW, *self._by, self._time.micros().alias(TIME))

    def _first(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows to keep among some that are all apart from those kept before.

        In each round the first row of every key is surely kept, and decides on those near it.
        When rounds decide too little, there are few keys with many rows each.
        """
        pending = rows.select(ROW, TIME, pl.col(ROW).first().over(self._by).alias(KEY))
        kept = [pending[ROW][:0]]
        while pending.height:
            first = pending.with_columns(pl.col(ROW, TIME).first().over(KEY).name.suffix("_first"))
            kept.append(first.filter(pl.col(ROW) == pl.col(f"{ROW}_first"))[ROW])
            near = (pl.col(TIME) - pl.col(f"{TIME}_first")).abs() < self._within
            rest = first.filter(~near).select(pending.columns)
            if rest.height > pending.height * STALLED:
                kept.append(rest[ROW].filter(_greedy(rest[KEY], rest[TIME], self._within)))
                break
            pending = rest
        return rows.filter(pl.col(ROW).is_in(pl.concat(kept).implode()))


def _greedy(keys: pl.Series, times: pl.Series, within: Micros) -> pl.Series:
    """Whether each row is apart from all kept before it, given in their order of arrival."""
    kept: dict[int, list[Micros]] = {}
    passed = []
    for key, time in zip(keys.to_list(), times.to_list(), strict=True):
        known = kept.setdefault(key, [])
        at = bisect_left(known, time)
        apart = (not at or time - known[at - 1] >= within) and (
            at == len(known) or known[at] - time >= within
        )
        passed.append(apart)
        if apart:
            known.insert(at, time)
    return pl.Series(passed, dtype=pl.Boolean)


class _Kept:
    """Keys and times of the rows kept, in frames sorted by a hash, found by binary search.

    The hash is of the key and a cell of time as wide as `within`: a cell holds at most one kept
    row of a key, so a row is compared with at most three. A frame is merged with the one before
    it unless that is twice as large: frames stay few, and a row is moved only log(n) times.
    """

    def __init__(self, state: State, by: list[str], within: Micros, span: Micros) -> None:
        self._state, self._by, self._within, self._span = state, by, within, span
        if state.values.setdefault("polars", pl.__version__) != pl.__version__:
            self._hash_again()

    def apart(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows that are not near a kept row of their key."""
        frames = self._state.frames(KEPT)
        if not rows.height or not frames:
            return rows
        probes = self._probes(rows)
        near = pl.concat([self._near(probes, frame) for frame in frames])
        return rows.filter(~pl.col(ROW).is_in(near.implode()))

    def add(self, rows: pl.DataFrame) -> None:
        """Remember rows that were kept."""
        if not rows.height:
            return
        values = self._state.values
        low, high = rows.select(low=pl.col(TIME).min(), high=pl.col(TIME).max()).row(0)
        values["first"] = min(values.get("first", low), low)
        values["last"] = max(values.get("last", high), high)
        added = rows.drop(ROW).with_columns(self._hash(0)).sort(HASH)
        self._state.put(KEPT, _merged([*self._state.frames(KEPT), added]))

    def forget(self, watermark: Micros) -> None:
        """Drop what no row can be compared with any more, once there may be much of it."""
        horizon, first = watermark - self._span, self._state.values.get("first", watermark)
        if horizon - first < self._span:
            return
        left = [frame.filter(pl.col(TIME) >= horizon) for frame in self._state.frames(KEPT)]
        self._state.put(KEPT, [frame for frame in left if frame.height])
        self._state.values["first"] = horizon

    def _hash(self, offset: int) -> pl.Expr:
        cell = pl.col(TIME) // self._within + offset
        return pl.struct(*self._by, cell.alias("__cell")).hash().alias(HASH)

    def _probes(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows once for each cell that may hold a kept row near them."""
        low, high = (self._state.values[end] // self._within for end in ("first", "last"))
        cells = [
            rows.filter((pl.col(TIME) // self._within + offset).is_between(low, high)).with_columns(
                self._hash(offset)
            )
            for offset in (-1, 0, 1)
        ]
        return pl.concat(cells).sort(HASH)

    def _near(self, probes: pl.DataFrame, kept: pl.DataFrame) -> pl.Series:
        """The numbers of rows that are near one of these kept rows."""
        low, high = (kept[HASH].search_sorted(probes[HASH], side) for side in SIDES)
        found = probes.with_columns(low.alias("__low"), high.alias("__high")).filter(high > low)
        pairs = found.with_columns(pl.int_ranges("__low", "__high").alias("__at")).explode("__at")
        others = kept[pairs["__at"]].select(pl.all().name.prefix("__kept_"))
        same = [pl.col(name).eq_missing(pl.col(f"__kept_{name}")) for name in self._by]
        close = (pl.col(TIME) - pl.col(f"__kept_{TIME}")).abs() < self._within
        return pl.concat([pairs, others], how="horizontal").filter(*same, close)[ROW]

    def _hash_again(self) -> None:
        """Another version of Polars may hash otherwise."""
        frames = self._state.frames(KEPT)
        self._state.put(KEPT, [one.with_columns(self._hash(0)).sort(HASH) for one in frames])
        self._state.values["polars"] = pl.__version__


def _merged(frames: list[pl.DataFrame]) -> list[pl.DataFrame]:
    while len(frames) > 1 and frames[-2].height < 2 * frames[-1].height:
        *frames, larger, smaller = frames
        frames.append(larger.merge_sorted(smaller, key=HASH).rechunk())
    return frames
