"""Windows of activity."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import polars as pl
from pydantic import model_validator

from pydatastream.core.batch import CLOCK, Emission, Routed
from pydatastream.core.operator import EventTime, Flow, Kernel
from pydatastream.core.state import State
from pydatastream.core.times import EVENT_TIME, FOREVER, Duration, Micros, micros
from pydatastream.parts.windows.keyed import KEY, PLACE, Keyed, refuse_nulls
from pydatastream.parts.windows.windowed import END, NEVER, START, Windowed

BEGIN, STOP, EDGE = "__begin", "__stop", "__edge"
ID, TORN, NEW = "__session", "__torn", "__new"
OPEN = "open"
SPAN = (pl.col(BEGIN).min(), pl.col(STOP).max())
APART = 2**64
PIECES = 16
"""So many unmerged pieces are kept before they are merged."""


class Session(Windowed):
    """Aggregate rows by key in windows of activity that end after a silence of `gap`.

    A session is [first row, last row + gap) of event time; a row exactly `gap` after the last
    one begins the next. Gives the columns `by`, `window_start`, `window_end`, then the
    aggregates, once the watermark has passed end + lateness. A row is late, and goes to `late`,
    if a session of it alone would be complete already.
    State: one partial row per open session. Cost per batch grows with the open sessions.
    """

    primary: ClassVar[str | None] = "gap"
    example: ClassVar[str] = (
        "- session: {gap: 30s, by: [device_id], aggregate: {n: count(*), hi: max(temperature)}}"
    )

    gap: Duration
    """A silence so long ends a session."""
    max_length: Duration | None = None
    """Sessions are also cut at every multiple of this since 1970 UTC (1d: at midnight)."""

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if micros(self.gap) < 1:
            raise ValueError("`gap` is at least 1us")
        if self.max_length is not None and micros(self.max_length) < micros(self.gap):
            raise ValueError("`max_length` is at least as long as `gap`")
        return self

    def open(self, state: State, *inputs: Flow) -> Kernel:
        return SessionKernel(
            gap=micros(self.gap),
            most=micros(self.max_length) if self.max_length else None,
            keyed=self.keyed(inputs[0]),
            time=inputs[0].event_time(),
            lateness=micros(self.lateness),
            required=self.required(),
            state=state,
        )


@dataclass(slots=True)
class SessionKernel(Kernel):
    """The state holds pieces of sessions: partial rows with a start and an end."""

    gap: Micros
    most: Micros | None
    keyed: Keyed
    time: EventTime
    lateness: Micros
    required: list[str]
    state: State
    released: int = 0
    due: Micros = field(init=False)

    def __post_init__(self) -> None:
        self.due = self._earliest(self.state.frames(OPEN))

    @property
    def watermark(self) -> Micros:
        """The watermark last heard of."""
        return int(self.state.values.get("watermark", NEVER))

    def held(self) -> int:
        return self.keyed.held(self.state)

    def on_batch(self, rows: pl.DataFrame, port: int = 0) -> Emission:  # noqa: ARG002
        rows, refused = refuse_nulls(rows, self.required, self.time.column)
        rows, late = self._split(self._spans(rows))
        clocked = CLOCK in rows.columns and rows.height > 0
        pieces = self._in_order_of_arrival(rows) if clocked else self._pieces(rows)
        if clocked:
            self._put(pieces)
        elif pieces.height:
            self._append(pieces)
        yield from refused
        if late.height:
            yield Routed("late", late.drop(BEGIN, STOP, EDGE))
        if clocked:
            yield from self.on_watermark(_most(rows.get_column(CLOCK)))

    def _spans(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows with the session that each would be alone, and what had closed before it came."""
        start = self.time.micros()
        end = start + self.gap
        if self.most is not None:
            end = pl.min_horizontal(end, start // self.most * self.most + self.most)
        clock = pl.lit(self.watermark)
        if CLOCK in rows.columns:
            clock = pl.max_horizontal(CLOCK, clock)
        edge = clock - self.lateness
        return rows.with_columns(start.alias(BEGIN), end.alias(STOP), edge.alias(EDGE))

    def _split(self, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        late = pl.col(STOP) <= pl.col(EDGE)
        if not rows.select(late.any()).item():
            return rows, rows.clear()
        return rows.filter(~late), rows.filter(late)

    def _pieces(self, rows: pl.DataFrame) -> pl.DataFrame:
        marked = self._marked(rows)
        return self.keyed.partial(marked, ID, extra=SPAN).drop(ID)

    def _merged(self, pieces: pl.DataFrame) -> pl.DataFrame:
        marked = self._marked(pieces)
        return self.keyed.merged([marked], ID, extra=SPAN).drop(ID)

    def _marked(self, pieces: pl.DataFrame) -> pl.DataFrame:
        """Pieces in the order of key and time, with the number of their session.

        A piece begins a session if it starts where all of its key before it have stopped. Keys
        stand side by side on one axis, far enough apart, so that one pass does for all.
        """
        pieces = self.keyed.together(pieces, BEGIN)
        apart = pl.col(KEY).cast(pl.Int128) * APART
        reached = (apart + pl.col(STOP)).cum_max().shift(1, fill_value=-APART)
        return pieces.with_columns((apart + pl.col(BEGIN) >= reached).cum_sum().alias(ID))

    def _in_order_of_arrival(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The open sessions after rows of which some came after others had closed.

        Sessions are formed as if all rows had come in order. Where a row meets one before it
        that had closed by then, the session is torn, and formed anew row by row.
        """
        rows, opened = self.keyed.ready(rows), self._opened()
        names = [*self.keyed.keys, BEGIN, STOP]
        spans = [rows.select(*names, EDGE)]
        if opened is not None:
            spans.insert(0, opened.select(*names, pl.lit(NEVER).alias(EDGE)))
        ids = self._ids(pl.concat(spans))
        count = ids.len() - rows.height
        found = self.keyed.partial(rows.with_columns(ids[count:]), ID, extra=SPAN)
        if opened is not None:
            before = opened.with_columns(ids[:count]).select(found.columns)
            found = self.keyed.merged([before, found], ID, extra=SPAN)
        return found.drop(ID)

    def _ids(self, spans: pl.DataFrame) -> pl.Series:
        """The session of each span, spans in the order in which they came."""
        marked = self._marked(spans).cast({ID: pl.Int64})
        place, stop, session = (pl.col(name).shift(1) for name in (PLACE, STOP, ID))
        came_before = (session == pl.col(ID)) & (place < pl.col(PLACE))
        marked = marked.with_columns((came_before & (stop <= pl.col(EDGE))).alias(TORN))
        if marked.get_column(TORN).any():
            marked = _repaired(marked.with_columns(pl.col(TORN).any().over(ID)))
        return marked.sort(PLACE).get_column(ID)

    def _opened(self) -> pl.DataFrame | None:
        frames = self.state.frames(OPEN)
        if len(frames) > 1:
            return self._merged(pl.concat(frames))
        return frames[0] if frames else None

    def _append(self, pieces: pl.DataFrame) -> None:
        self.state.append(OPEN, pieces)
        self.due = min(self.due, self._earliest([pieces]))
        if len(self.state.frames(OPEN)) >= PIECES and (opened := self._opened()) is not None:
            self._put(opened)

    def _put(self, opened: pl.DataFrame) -> None:
        if opened.height:
            self.state.put(OPEN, opened)
        else:
            self.state.drop(OPEN)
        self.due = self._earliest([opened])

    def _earliest(self, frames: Iterable[pl.DataFrame]) -> Micros:
        ends = [_least(frame.get_column(STOP)) for frame in frames if frame.height]
        return min(ends, default=2 * FOREVER) + self.lateness

    def _last_due(self) -> Micros:
        """The watermark at which all sessions are complete."""
        ends = [_most(frame.get_column(STOP)) for frame in self.state.frames(OPEN)]
        return max(ends, default=2 * NEVER) + self.lateness

    def on_watermark(self, watermark: Micros) -> Emission:
        if watermark >= FOREVER:
            watermark = max(self.watermark, self._last_due())
        if watermark > self.watermark:
            self.state.values["watermark"] = watermark
        if watermark >= self.due and (opened := self._opened()) is not None:
            complete = pl.col(STOP) <= watermark - self.lateness
            closed = opened.filter(complete)
            self._put(opened.filter(~complete))
            self.released += self.keyed.count([closed])
            if closed.height:
                yield self._final(closed)

    def _final(self, closed: pl.DataFrame) -> pl.DataFrame:
        # By end, then key: in this order they close, however the stream was cut.
        closed = closed.sort(STOP, *self.keyed.keys)
        start, end = (pl.col(name).cast(EVENT_TIME) for name in (BEGIN, STOP))
        edges = start.alias(START), end.alias(END)
        return closed.select(*self.keyed.by, *edges, *self.keyed.aggregation.final)


def _repaired(marked: pl.DataFrame) -> pl.DataFrame:
    numbers = dict[int, int]()
    for spans in marked.filter(TORN).sort(PLACE).partition_by(ID):
        for group in regrouped(spans.select(BEGIN, STOP, EDGE).iter_rows()):
            number = -len(numbers) - 1
            numbers |= dict.fromkeys(spans.get_column(PLACE).gather(group).to_list(), number)
    anew = pl.DataFrame({PLACE: list(numbers), NEW: list(numbers.values())})
    return marked.join(anew, on=PLACE, how="left").with_columns(pl.coalesce(NEW, ID).alias(ID))


def regrouped(spans: Iterable[tuple[int, int, int]]) -> list[list[int]]:
    """Sessions formed one row at a time: the positions of the rows of each.

    A span is (start, end, edge): when it comes, sessions that end at or before edge have closed.
    """
    opened: list[tuple[int, int, list[int]]] = []
    done: list[list[int]] = []
    for position, (start, end, edge) in enumerate(spans):
        done += [rows for _, until, rows in opened if until <= edge]
        opened = [one for one in opened if one[1] > edge]
        met = [one for one in opened if one[0] < end and start < one[1]]
        opened = [one for one in opened if one not in met]
        rows = [row for one in met for row in one[2]]
        opened.append(
            (
                min([start, *(one[0] for one in met)]),
                max([end, *(one[1] for one in met)]),
                [*rows, position],
            )
        )
    return done + [rows for _, _, rows in opened]


def _least(values: pl.Series) -> int:
    least: Any = values.min()
    return int(least)


def _most(values: pl.Series) -> int:
    most: Any = values.max()
    return int(most)
