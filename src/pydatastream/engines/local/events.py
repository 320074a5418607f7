"""What happened in an epoch, in order: replaying these events gives the same rows again."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

from pydatastream.core.batch import Offset
from pydatastream.core.times import Micros


@dataclass(frozen=True, slots=True)
class Slice:
    """A range of rows of one partition was taken in; `now` is the wall clock, frozen."""

    source: str
    partition: str
    start: Offset | None
    end: Offset
    now: Micros
    joined: bool = False
    """Its rows went through the steps in one frame with those of the slice before."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Partitions are being read: from now on each may hold the watermark of the source."""

    source: str
    partitions: list[str]
    gone: list[str] = field(default_factory=list)
    """What the run before was reading, and is no longer there."""
    more: bool = False
    """Others will be opened as soon as it is their turn."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Partitions are idle; when all are, the wall clock has moved the watermark so far."""

    source: str
    idle: list[str]
    watermark: Micros


@dataclass(frozen=True, slots=True)
class Done:
    """A partition, or with no partition a whole source, came to its end."""

    source: str
    partition: str | None
    gone: bool = False
    """It cannot come back: what has its name later is another one."""


Event = Slice | Opened | Tick | Done
_KINDS: dict[str, type[Event]] = {
    "opened": Opened,
    "slice": Slice,
    "tick": Tick,
    "done": Done,
}


def to_json(event: Event) -> dict[str, Any]:
    """The event as plain data."""
    return {"kind": type(event).__name__.lower(), **asdict(event)}


def from_json(data: dict[str, Any]) -> Event:
    """The event that `to_json` wrote."""
    fields = dict(data)
    return _KINDS[fields.pop("kind")](**fields)


@dataclass(frozen=True, slots=True)
class Arrived:
    """Rows on their way from a reading thread to the steps."""

    slice: Slice
    rows: pl.DataFrame
    dead: pl.DataFrame
    greatest: Micros | None
    """The greatest event time among the rows."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A reading thread cannot go on."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class Released:
    """Partitions are to go to others: as soon as all before this is published and `settled`."""

    source: str
    partitions: list[str]
    settled: threading.Event = field(default_factory=threading.Event)


Given = Arrived | Event | Failed | Released
"""What the steps are given, one after the other."""
