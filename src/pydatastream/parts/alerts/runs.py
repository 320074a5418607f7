"""Runs: stretches of rows of one key during which a condition holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import Any, NamedTuple

import polars as pl

from pydatastream.core.state import State
from pydatastream.core.times import Micros
from pydatastream.parts.windows.windowed import NEVER

TIME, ON, VALUE, GRADE, SILENT = "__time", "__on", "__value", "__grade", "__silent"
ROWS = (TIME, ON, VALUE, GRADE, SILENT)
RUNS = "runs"


class Row(NamedTuple):
    """A row as rules see it. `on`: the condition holds, or not; None: as before."""

    time: Micros
    on: bool | None
    value: float | None
    grade: int
    silent: bool


@dataclass(slots=True)
class Run:
    """What is known of a key: its run, and until when none may be raised.

    `begin` is None between runs. `peak` is the greatest value so far, at row `at_peak`.
    """

    begin: Micros | None = None
    last: Micros = NEVER
    raised: bool = False
    grade: int = 0
    peak: float | None = None
    ready: Micros = NEVER
    shown: tuple[Any, ...] = ()
    """The columns of evidence, as they stood at the peak."""


class Event(NamedTuple):
    """Something to tell of a key."""

    key: tuple[Any, ...]
    state: str
    time: Micros
    begin: Micros
    last: Micros
    grade: int
    peak: float | None
    shown: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """When a run is raised, and how it ends; all times in microseconds."""

    lasting: Micros
    """So long a condition holds before it is raised."""
    cool_down: Micros
    """So long after the end of a raised run no other of its key is raised."""
    expire: Micros | None
    """After so long without a row of its key a run is over."""

    def follow(self, run: Run, row: Row, shown: tuple[Any, ...]) -> Iterator[tuple[str, Micros]]:
        """Go on with a row: the states that are to be told, and since when they hold."""
        yield from self.expired(run, row.time)
        if row.on is False:
            yield from self._ended(run, row.time)
        elif row.on or run.begin is not None:
            worse = _extended(run, row, shown)
            if run.raised and worse:
                yield "escalated", row.time
            elif not run.raised and self._due(run, row):
                run.raised = True
                yield "raised", row.time

    def expired(self, run: Run, now: Micros) -> Iterator[tuple[str, Micros]]:
        """End a run whose key has been silent for too long before `now`."""
        if self.expire is not None and run.last + self.expire < now:
            yield from self._ended(run, run.last + self.expire)

    def _due(self, run: Run, row: Row) -> bool:
        lasted = run.begin is not None and row.time - run.begin >= self.lasting
        return lasted and not row.silent and row.time >= run.ready

    def _ended(self, run: Run, end: Micros) -> Iterator[tuple[str, Micros]]:
        if run.raised:
            run.ready = end + self.cool_down
            yield "resolved", end
        run.begin, run.raised = None, False


def _extended(run: Run, row: Row, shown: tuple[Any, ...]) -> bool:
    """Add a row to a run, or begin one; whether its severity has risen."""
    if run.begin is None:
        run.begin, run.grade, run.peak, run.shown = row.time, row.grade, row.value, shown
    worse = row.grade > run.grade
    run.last, run.grade = row.time, max(run.grade, row.grade)
    if row.value is not None and (run.peak is None or row.value > run.peak):
        run.peak, run.shown = row.value, shown
    return worse


@dataclass(frozen=True, slots=True)
class Following:
    """Runs by key. State: `runs`, a row per key that is in a run or cools down.

    Only rows of such keys are looked at one by one, at about 2 us each; others cost next to
    nothing, as the condition itself is worked out for all rows at once.
    """

    rules: Rules
    keys: Sequence[str]
    schema: pl.Schema
    """Of the state: the keys, then the fields of a `Run`, with a column per column of evidence."""
    state: State

    def events(self, rows: pl.DataFrame | None, until: Micros) -> Iterator[Event]:
        """What happens before `until`: rows come in order of time, with the columns ROWS."""
        runs = self._known()
        if rows is not None:
            yield from self._followed(runs, rows)
        for key, run in runs.items():
            for state, time in self.rules.expired(run, until):
                yield _event(key, run, state, time)
        self._remember({key: run for key, run in runs.items() if _kept(run, until)})

    def _followed(self, runs: dict[tuple[Any, ...], Run], rows: pl.DataFrame) -> Iterator[Event]:
        width, fields = len(self.keys), len(self.keys) + len(ROWS)
        for values in self._concerned(runs, rows).iter_rows():
            key, shown = values[:width], values[fields:]
            run = runs.setdefault(key, Run())
            for state, time in self.rules.follow(run, Row(*values[width:fields]), shown):
                yield _event(key, run, state, time)

    def _concerned(self, runs: dict[tuple[Any, ...], Run], rows: pl.DataFrame) -> pl.DataFrame:
        """The rows of keys that are in a run or will be."""
        shown = list(self.schema)[len(self.keys) + 6 :]
        rows = rows.select(*self.keys, *ROWS, *shown)
        if not self.keys:
            return rows if runs or rows.get_column(ON).any() else rows.clear()
        types = {name: self.schema[name] for name in self.keys}
        known = pl.DataFrame(list(runs), schema=types, orient="row")
        troubled = pl.concat([rows.filter(ON).select(self.keys), known]).unique()
        return rows.join(troubled, on=list(self.keys), how="semi", nulls_equal=True)

    def _known(self) -> dict[tuple[Any, ...], Run]:
        frame, width = self.state.frame(RUNS), len(self.keys)
        if frame is None:
            return {}
        return {
            row[:width]: Run(*(*row[width : width + 6], row[width + 6 :]))
            for row in frame.iter_rows()
        }

    def _remember(self, runs: dict[tuple[Any, ...], Run]) -> None:
        rows = [(*key, *astuple(run)[:6], *run.shown) for key, run in runs.items()]
        if rows:
            self.state.put(RUNS, pl.DataFrame(rows, schema=self.schema, orient="row"))
        else:
            self.state.drop(RUNS)


def _event(key: tuple[Any, ...], run: Run, state: str, time: Micros) -> Event:
    begin = time if run.begin is None else run.begin
    return Event(key, state, time, begin, run.last, run.grade, run.peak, run.shown)


def _kept(run: Run, until: Micros) -> bool:
    return run.begin is not None or run.ready > until
