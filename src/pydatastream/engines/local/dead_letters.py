"""Where rows go that cannot be processed: an output like any other, or an end of the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from pydatastream.core.batch import Refused
from pydatastream.core.dead import dead_rows, letters
from pydatastream.core.errors import StopError
from pydatastream.core.times import Micros
from pydatastream.engines.local.events import Slice
from pydatastream.engines.local.settings import OnError

DEAD_LETTERS = "dead_letters"
"""The name of the output that takes dead letters."""


class Graveyard:
    """Turns refused rows into dead letters, or stops the run where that was asked for."""

    def __init__(self, on_error: OnError, plan: str, emit: Callable[[pl.DataFrame], None]) -> None:
        self._on_error, self._plan, self._emit = on_error, plan, emit
        self._position: Mapping[str, Any] = {}
        self._now: Micros = 0

    def at(self, pieces: Sequence[Slice]) -> None:
        """The slices at work: their place and frozen clock go into the letters."""
        self._now = pieces[-1].now
        places = [{"partition": one.partition, "after": one.start} for one in pieces]
        where = places[0] if len(places) == 1 else {"any_of": places}
        self._position = {"source": pieces[0].source, **where}

    def bury(self, refused: Refused, step: str) -> None:
        """Rows that a step refused."""
        self.bury_read(dead_rows(refused.rows, refused.error), step)

    def bury_read(self, dead: pl.DataFrame, node: str) -> None:
        """Rows that could not be read, or a step's rows already written as JSON."""
        if dead.height and (letter := self._letters(dead, node, self._position)) is not None:
            self._emit(letter)

    def unwritable(self, output: str, rows: pl.DataFrame, error: str) -> pl.DataFrame | None:
        """The dead letters of rows that a sink refused, for the epoch that is being written."""
        dead = dead_rows(rows, error)
        if output == DEAD_LETTERS:
            raise self._stop(dead, output, {})
        return self._letters(dead, output, {"output": output})

    def _letters(
        self, dead: pl.DataFrame, node: str, position: Mapping[str, Any]
    ) -> pl.DataFrame | None:
        if self._on_error == "fail":
            raise self._stop(dead, node, position)
        if self._on_error == "skip":
            return None
        return letters(dead, node, position, self._plan, self._now)

    def _stop(self, dead: pl.DataFrame, node: str, position: Mapping[str, Any]) -> StopError:
        return StopError(
            f"{dead['error'][0]}; the row: {dead['payload'][0][:200]}",
            where=f"{node} at {dict(position)}",
            hint="mend the row, or set `on_error: dead_letter` to set such rows aside",
        )
