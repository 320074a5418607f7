"""Where a reader of a remote file stands."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

PAUSE = 0.05
"""Seconds between two looks at a file that may still be written."""


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a file: bytes of content, or groups and rows of the next one, before it."""

    version: str
    at: int = 0
    row: int = 0
    broken: bool = False
    end: bool = False

    def told(self) -> dict[str, Any]:
        """As an offset."""
        known = {"row": self.row, "broken": self.broken, "end": self.end}
        more = {name: value for name, value in known.items() if value}
        return {"version": self.version, "at": self.at, **more}


def cut(
    groups: Iterator[pl.DataFrame], start: Place, until: Place | None, most: int
) -> Iterator[tuple[pl.DataFrame, Place]]:
    """Groups in slices of at most so many rows, each with its end."""
    stop = None if until is None or until.broken else (until.at, until.row)
    for number, rows in enumerate(groups, start.at):
        at = start.row if number == start.at else 0
        while at < rows.height and stop != (number, at):
            last = stop[1] if stop and stop[0] == number else rows.height
            end = min(at + most, last)
            over = end == rows.height
            place = replace(start, at=number + over, row=0 if over else end)
            yield rows.slice(at, end - at), place
            at = end
        if stop and stop <= (number + 1, 0):
            return


def pause() -> Iterator[None]:
    """Others may be read meanwhile: nobody sleeps here."""
    end = time.monotonic() + PAUSE
    while time.monotonic() < end:
        yield None
