"""Small pieces that wait for the next stage go on together: a stage that is slow gets larger ones.

So how long a row is under way is told by what a stage does, and not by how many pieces wait.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import polars as pl

from pydatastream.checkpoints import Epoch
from pydatastream.engines.local.events import Arrived, Event, Failed, Given, Released

T = TypeVar("T")

Joined = list[Arrived] | Event | Failed | Released

MOST = 1 << 17
"""Rows beyond which a piece is large enough."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows for one output."""

    output: str
    rows: pl.DataFrame


def all_waiting(items: queue.Queue[T], most: int, timeout: float | None = None) -> list[T]:
    """What waits, and if that is nothing what comes next; none if nothing comes in time."""
    found: list[T] = []
    with suppress(queue.Empty):
        found.append(items.get(timeout=timeout))
        while len(found) < most:
            found.append(items.get_nowait())
    return found


Fits = Callable[[list[Arrived], Arrived], bool]
"""Whether a batch goes on together with those before it."""


def together(items: Iterable[Given], fits: Fits) -> Iterator[Joined]:
    """The same, where batches that follow each other and fit come as one list."""
    joined: list[Arrived] = []
    for item in items:
        if joined and not (isinstance(item, Arrived) and fits(joined, item)):
            yield joined
            joined = []
        if isinstance(item, Arrived):
            joined.append(item)
        else:
            yield item
    if joined:
        yield joined


def small(joined: list[Arrived], item: Arrived, most: int = MOST) -> bool:
    """Batches fit that are of one source, and small together."""
    rows = sum(one.rows.height for one in joined) + item.rows.height
    return joined[0].slice.source == item.slice.source and rows <= min(most, MOST)


def as_before(_: list[Arrived], item: Arrived) -> bool:
    """Batches that are read again fit as they did the first time."""
    return item.slice.joined


def by_output(items: Iterable[Rows | Epoch | None]) -> Iterator[Rows | Epoch]:
    """The same, where rows for one output come as one frame; None is left out."""
    waiting: dict[str, list[pl.DataFrame]] = {}
    for item in [*items, None]:
        if isinstance(item, Rows):
            frames = waiting.setdefault(item.output, [])
            if sum(one.height for one in frames) + item.rows.height > MOST:
                yield from _whole(item.output, frames)
                frames.clear()
            frames.append(item.rows)
        else:
            for output, frames in waiting.items():
                yield from _whole(output, frames)
            waiting = {}
            if item is not None:
                yield item


def _whole(output: str, frames: list[pl.DataFrame]) -> Iterator[Rows]:
    if frames:
        yield Rows(output, pl.concat(frames) if len(frames) > 1 else frames[0])
