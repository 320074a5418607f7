"""The page: `streamlit run page.py -- pipeline.yaml`, which `pds dashboard` does.

Nothing of the data is taken for markup: it goes into charts, tables and numbers only.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import streamlit as st

from pydatastream.config.dashboard import Panel
from pydatastream.core.errors import PdsError
from pydatastream.core.times import micros
from pydatastream.dashboard import charts, frames
from pydatastream.dashboard.board import Board
from pydatastream.parts.sql.expressions import condition
from pydatastream.pipeline import Pipeline

SPANS = {"all": None, "last minute": 60.0, "last 10 minutes": 600.0, "last hour": 3600.0}
TABLE = 200  # rows of a table that are shown; Streamlit would print a string that stands alone
EVERYTHING = "(all)"
# Streamlit fades what a run has not drawn yet; on a page that is always drawn, that flickers.
STEADY = "<style>[data-stale] { opacity: 1 !important; transition: none !important; }</style>"


@dataclass(slots=True)
class Shown:
    """A snapshot, as the person looking at it wants it."""

    board: Board
    rows: dict[str, pl.DataFrame]
    picked: str | None = None
    seconds: float | None = None
    moment: datetime | None = None
    _seen: dict[str, pl.DataFrame] = field(default_factory=dict)

    def of(self, name: str) -> pl.DataFrame:
        """The rows of an output: of the picked key, of the span of time, as of the moment."""
        if name not in self._seen:
            output = self.board.outputs[name]
            rows, time = self.rows[name], self.board.time_of(output)
            key = self.board.key_of(output)
            if self.picked is not None and key is not None:
                rows = rows.filter(pl.col(key).cast(pl.String) == self.picked)
            rows = frames.until(rows, time, self.moment)
            self._seen[name] = frames.recent(rows, time, self.seconds)
        return self._seen[name]

    def draw(self, panel: Panel) -> None:
        """One panel, under its title."""
        if panel.show == "source":
            self._source(panel)
            return
        output = self.board.output(panel.of)
        rows = self.of(output.name)
        if panel.where is not None:
            rows = rows.filter(condition(panel.where, rows.schema))
        st.caption(_plain(panel.title or " ".join([output.name, *panel.column])))
        if panel.show == "table":
            st.dataframe(rows.tail(TABLE).reverse(), hide_index=True, height=260)
        elif panel.show == "value":
            self._values(panel, rows)
        elif panel.show == "bar":
            column = panel.column[0] if panel.column else None
            st.vega_lite_chart(charts.bars(frames.bars(rows, column, panel.by or "", panel.top)))
        else:
            self._chart(panel, rows, self.board.time_of(output))

    def _chart(self, panel: Panel, rows: pl.DataFrame, time: str | None) -> None:
        if time is None:
            st.info("these rows have no time")
            return
        columns = list(panel.column) or frames.numbers(rows.schema)
        stacked = panel.show == "area"
        if stacked:
            long = frames.layers(rows, time, columns, panel.by, panel.top)
        else:
            long = frames.lines(rows, time, columns, panel.by)
        nothing = pl.DataFrame(schema=frames.SPANS)
        now: datetime | None = rows.select(pl.col(time).max()).item()
        marks = frames.spans(self.of(panel.marks), now) if panel.marks else nothing
        shade = nothing
        if panel.shade is not None:
            shade = frames.stretches(rows, time, condition(panel.shade, rows.schema))
        st.vega_lite_chart(charts.over_time(long, marks, shade, stacked=stacked))

    def _values(self, panel: Panel, rows: pl.DataFrame) -> None:
        columns = list(panel.column) or frames.numbers(rows.schema)
        for column, place in zip(columns, st.columns(max(1, len(columns))), strict=False):
            value = rows.get_column(column).drop_nulls()
            place.metric(_plain(column), _number(value[-1]) if len(value) else "-")

    def _source(self, panel: Panel) -> None:
        found = self.board.gauges()
        named = {panel.of: found.get(panel.of, {})} if panel.of else found
        told = [(f"{name} {what}", v) for name, g in named.items() for what, v in g.items()]
        for (name, value), place in zip(told, st.columns(max(1, len(told))), strict=False):
            place.metric(_plain(name), _number(value))


def _plain(text: str) -> str:
    """Text without meaning as markup."""
    return "".join(f"\\{sign}" if sign in r"\`*_{}[]<>()#+-.!|$:~" else sign for sign in text)


def _number(value: Any) -> str:
    if isinstance(value, float) and not value.is_integer():
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)


@st.cache_resource(show_spinner="reading the pipeline")
def board_of(path: str, changed: float, *, python: bool) -> Board:  # noqa: ARG001 - read again when it changed
    """The board of a file, kept as long as the file stays as it is."""
    return Board.of(Pipeline.load(path, python=python), python=python)


def show(path: str | Path, *, python: bool = True) -> None:
    """Draw the whole page for a pipeline file."""
    st.set_page_config(page_title="PyDataStream", layout="wide")
    try:
        board = board_of(str(path), Path(path).stat().st_mtime, python=python)
    except (PdsError, OSError) as error:
        st.error("the pipeline cannot be shown")
        st.code(str(error), language=None)
        return
    st.html(STEADY)
    st.title(_plain(board.title), anchor=False)
    live = st.toggle("live", value=True, help="off: go back in time with the slider")
    every = micros(board.said.refresh) / 1e6
    st.fragment(_body, run_every=every if live else None)(board, live)


def _body(board: Board, live: bool) -> None:
    rows = board.latest()
    shown = Shown(board, rows, **_wanted(board, rows, live))
    for name, why in board.trouble.items():
        st.warning(f"{_plain(name)}: {_plain(why)}")
    for row in board.layout():
        for place, panel in zip(st.columns(len(row)), row, strict=True):
            with place:
                shown.draw(panel)


def _wanted(board: Board, rows: dict[str, pl.DataFrame], live: bool) -> dict[str, Any]:
    first, second, third = st.columns([2, 2, 4])
    keys = _keys(board, rows)
    picked = first.selectbox("only", [EVERYTHING, *keys], key="picked") if keys else EVERYTHING
    span = second.selectbox("time", list(SPANS), key="span")
    moment = None if live else _moment(board, rows, third)
    return {
        "picked": None if picked == EVERYTHING else picked,
        "seconds": SPANS[span],
        "moment": moment,
    }


def _keys(board: Board, rows: dict[str, pl.DataFrame]) -> list[str]:
    found: set[str] = set()
    for name, frame in rows.items():
        key = board.key_of(board.outputs[name])
        if key is not None:
            found.update(frame.get_column(key).drop_nulls().cast(pl.String).unique().head(500))
    return sorted(found)


def _moment(board: Board, rows: dict[str, pl.DataFrame], place: Any) -> datetime | None:
    ends = [
        end
        for name, frame in rows.items()
        if frame.height and (time := board.time_of(board.outputs[name])) is not None
        for end in frame.select(pl.col(time).min().alias("a"), pl.col(time).max().alias("b")).row(0)
        if end is not None
    ]
    if not ends or min(ends) == max(ends):
        return None
    first, last = min(ends), max(ends)
    step, clock = min(timedelta(seconds=1), (last - first) / 10), "YYYY-MM-DD HH:mm:ss"
    moment: datetime = place.slider("as of", first, last, last, step, clock, key="moment")
    return moment


if __name__ == "__main__":
    show(sys.argv[1], python="--no-python" not in sys.argv)
