"""State: what a kernel remembers, as immutable segments of rows.

A name stands for a tuple of segments. Appending makes a new tuple and shares the old segments,
so a snapshot is a copy of references, and a checkpoint writes only segments it has not yet seen.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import polars as pl


@dataclass(eq=False, slots=True)
class Segment:
    """Rows that never change, and where a checkpoint has put them."""

    rows: pl.DataFrame
    stored: str | None = None
    """The content address under which the checkpoint holds it; None: not yet written."""


Segments = tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state at one moment."""

    frames: dict[str, Segments] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)


class State:
    """Named lists of immutable frames, and small JSON-able values.

    >>> state = State()
    >>> state.append("seen", pl.DataFrame({"id": [1]}))
    >>> state.append("seen", pl.DataFrame({"id": [2]}))
    >>> state.frame("seen")["id"].to_list()
    [1, 2]
    """

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        start = snapshot or Snapshot()
        self._frames = dict(start.frames)
        self.values: dict[str, Any] = copy.deepcopy(start.values)

    def names(self) -> list[str]:
        """The names that hold rows, in the order they were first used."""
        return list(self._frames)

    def frames(self, name: str) -> list[pl.DataFrame]:
        """The segments of a name, oldest first."""
        return [segment.rows for segment in self._frames.get(name, ())]

    def frame(self, name: str) -> pl.DataFrame | None:
        """All rows of a name, or None."""
        frames = self.frames(name)
        return pl.concat(frames) if frames else None

    def append(self, name: str, rows: pl.DataFrame) -> None:
        """Add rows without touching those before."""
        self._frames[name] = (*self._frames.get(name, ()), Segment(rows))

    def put(self, name: str, rows: Iterable[pl.DataFrame] | pl.DataFrame) -> None:
        """Replace all rows of a name; a frame that was already there keeps its segment."""
        frames = [rows] if isinstance(rows, pl.DataFrame) else rows
        known = {id(segment.rows): segment for segment in self._frames.get(name, ())}
        self._frames[name] = tuple(known.get(id(one)) or Segment(one) for one in frames)

    def drop(self, name: str) -> None:
        """Forget a name."""
        self._frames.pop(name, None)

    def snapshot(self) -> Snapshot:
        """The state as it is now; later changes do not show in it."""
        return Snapshot(dict(self._frames), copy.deepcopy(self.values))

    def restore(self, snapshot: Snapshot) -> None:
        """Be again as it was."""
        self._frames, self.values = dict(snapshot.frames), copy.deepcopy(snapshot.values)

    def nbytes(self) -> int:
        """About how much memory the rows take, in bytes."""
        return sum(
            int(segment.rows.estimated_size())
            for segments in self._frames.values()
            for segment in segments
        )
