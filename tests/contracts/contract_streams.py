"""Random streams of the sample schema, and scripts: what happened to them, in order."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import polars as pl
from hypothesis import strategies as st

from pydatastream.core.times import EVENT_TIME
from pydatastream.engines.local.events import Done, Event, Opened, Slice, Tick

SCHEMA = pl.Schema(
    {
        "device_id": pl.String,
        "ts": EVENT_TIME,
        "temperature": pl.Float64,
        "humidity": pl.Float64,
        "status": pl.String,
        "tags": pl.List(pl.String),
        "n": pl.Int64,
    }
)
"""What every example of an operator works on."""

TYPES = {
    "device_id": "string",
    "ts": "timestamp",
    "temperature": "float",
    "humidity": "float",
    "status": "string",
    "tags": "list[string]",
    "n": "int",
}
START = datetime(2024, 1, 1, tzinfo=UTC)
NOW = round((START + timedelta(days=1)).timestamp() * 1e6)
"""The frozen clock of every script: later than all its rows."""

SPEEDS = (0, 1, 7, 20, 20, 40, 90)
"""Seconds from one row to the next."""

SEED = st.integers(0, 2**32)
HEIGHT = st.one_of(st.integers(1, 14), *[st.integers(15, 40)] * 4)
"""Rows of a stream: mostly many, but few if they fail too."""

PARTITIONS = ("left", "right")

Frames = Mapping[str, Mapping[str, pl.DataFrame]]


@dataclass(frozen=True)
class Script:
    """What came from each partition of each source, and all that happened, in order."""

    frames: Frames
    events: tuple[Event, ...]

    def cut(self, places: Iterable[int]) -> Script:
        """The same rows at the same times, in smaller slices: cut before these rows."""
        count, events = itertools.count(), list[Event]()
        wanted = set(places)
        for event in self.events:
            if not isinstance(event, Slice):
                events.append(event)
                continue
            first, end = _at(event.start), _at(event.end)
            inner = [at for at in range(first, end) if next(count) in wanted and at > first]
            edges = [first, *inner, end]
            events += [_slice(event, *edge) for edge in itertools.pairwise(edges)]
        return replace(self, events=tuple(events))

    def joined(self) -> Script:
        """The same, where slices of a source that follow each other are taken together."""
        pairs = zip((None, *self.events), self.events, strict=False)
        events = [
            replace(one, joined=True) if _follows(one, before) else one for before, one in pairs
        ]
        return replace(self, events=tuple(events))

    def steps(self) -> Iterator[list[Event]]:
        """The events, those that are taken together in one list."""
        step: list[Event] = []
        for event in self.events:
            if step and not (isinstance(event, Slice) and event.joined):
                yield step
                step = []
            step.append(event)
        yield step

    def rows(self) -> int:
        """How many rows there are."""
        return sum(one.height for parts in self.frames.values() for one in parts.values())


def _follows(event: Event, before: Event | None) -> bool:
    both = isinstance(event, Slice) and isinstance(before, Slice)
    return both and event.source == before.source


def _at(offset: Mapping[str, Any] | None) -> int:
    return int(offset["at"]) if offset else 0


def _slice(event: Slice, start: int, end: int) -> Slice:
    return replace(event, start={"at": start} if start else None, end={"at": end})


_NUMBERS = (20.0, 35.5, 9.75, 31.25, -0.0, 1e6, 0.1, None, math.nan, math.inf)
_VALUES: Mapping[str, Sequence[Any]] = {
    "device_id": ("a", "b", "a", "b", "", "é", None),
    "temperature": _NUMBERS,
    "humidity": _NUMBERS,
    "status": ("ok", "error", "", None),
    "tags": (["x", "", None], ["y"], [], None),
    "n": (1, 2, 2, 0, -7, 12, 13, 10**15, None),
}
_BEHIND = (0, 0, 0, 3, 50, 200, 400, 700)
"""Seconds a row may be behind those before it."""


def frame(chance: Random, height: int) -> pl.DataFrame:
    """Rows whose time goes on at some speed, or stands still; some of them are behind."""
    speed, calm = chance.choice(SPEEDS), chance.choice([3, 5, 8, 8])
    rows = [
        {
            **{name: chance.choice(values) for name, values in _VALUES.items()},
            "ts": START + timedelta(seconds=at * speed - chance.choice(_BEHIND[:calm])),
        }
        for at in range(height)
    ]
    return pl.DataFrame(rows, schema=SCHEMA)


def scripts(sources: Sequence[str]) -> st.SearchStrategy[Script]:
    """Streams from one or two partitions of each source, with idle ticks between.

    All is drawn from a seed: Hypothesis looks for the shortest stream that fails.
    """
    return st.builds(script, st.just(sources), HEIGHT, SEED)


def script(sources: Sequence[str], height: int, seed: int) -> Script:
    """The stream of a seed; a longer one begins like a shorter one.

    Often each partition gives a row at first, for one that has not holds all windows open.
    """
    chance = Random(seed)
    places = [(name, part) for name in sources for part in PARTITIONS[: chance.choice([1, 1, 2])]]
    quiet = chance.choice([0, 0.3])
    length = chance.choice([1, 5, 12, 60])
    whole = frame(Random(seed), height)
    events: list[Event] = [Opened(name, [p for s, p in places if s == name]) for name in sources]
    pieces: dict[tuple[str, str], list[pl.DataFrame]] = {place: [whole[:0]] for place in places}
    greeting = places[: chance.choice([0, len(places)])]
    first = 0
    while first < height:
        place = greeting[first] if first < len(greeting) else chance.choice(places)
        end = min(first + (1 if first < len(greeting) else chance.randint(1, length)), height)
        taken = sum(one.height for one in pieces[place])
        pieces[place].append(whole[first:end])
        events.append(_slice(Slice(*place, None, {}, NOW), taken, taken + end - first))
        if chance.random() < quiet:
            events.append(_tick(chance, place[0], places, whole["ts"][end - 1]))
        first = end
    events += [Done(*place) for place in places] + [Done(name, None) for name in sources]
    frames: dict[str, dict[str, pl.DataFrame]] = {name: {} for name in sources}
    for (name, part), several in pieces.items():
        frames[name][part] = pl.concat(several)
    return Script(frames, tuple(events))


def _tick(chance: Random, name: str, places: Sequence[tuple[str, str]], now: datetime) -> Tick:
    """One partition falls silent; or all of a source do, and the wall clock goes on."""
    parts = [part for source, part in places if source == name]
    moment = round(now.timestamp() * 1e6) - chance.choice([0, 10, 60]) * 10**6
    if chance.random() < 0.5:
        return Tick(name, parts, moment)
    return Tick(name, [chance.choice(parts)], -(2**62))


def cuts() -> st.SearchStrategy[frozenset[int]]:
    """Before which rows a stream is cut: before every row, or some of them."""
    return st.builds(places, st.sampled_from([1, 0.3, 0.1]), SEED)


def places(often: float, seed: int) -> frozenset[int]:
    """Numbers of rows, each with this probability."""
    chance = Random(seed)
    return frozenset(at for at in range(1, 40) if chance.random() < often)


def deaths() -> st.SearchStrategy[frozenset[int]]:
    """After which events of a script the process dies; a few times, for disks are slow."""
    return st.frozensets(st.integers(0, 30), min_size=1, max_size=3)
