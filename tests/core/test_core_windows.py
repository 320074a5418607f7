from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from pydatastream.core.state import State
from pydatastream.parts.sql.aggregates import aggregation
from pydatastream.parts.windows import keyed
from pydatastream.parts.windows.keyed import FAN_IN, Keyed, refuse_nulls
from pydatastream.parts.windows.windowed import Grid

SCHEMA = pl.Schema({"k": pl.String, "n": pl.Int64})
ONE = aggregation({"total": "sum(n)"}, SCHEMA)
grids = st.tuples(st.integers(1, 50), st.integers(0, 50), st.integers(-50, 50)).map(
    lambda grid: Grid(grid[0] + grid[1], grid[0], grid[2])
)


@given(grids, st.integers(-1000, 1000))
def test_a_slice_lies_in_the_same_windows_as_its_moments(grid, moment):
    start = grid.slice_of(moment)
    assert start <= moment
    assert grid.last(start) == grid.last(moment)
    assert grid.after(start) == grid.after(moment)


@given(grids, st.integers(-1000, 1000))
def test_windows_of_a_moment_are_those_that_hold_it(grid, moment):
    held = range(grid.after(moment), grid.last(moment) + 1, grid.every)
    near = range(-1200, 1200)
    starts = [at for at in near if (at - grid.offset) % grid.every == 0]
    assert list(held) == [at for at in starts if at <= moment < at + grid.size]


@given(grids, st.lists(st.integers(-1000, 1000), min_size=1))
def test_the_expression_and_the_number_agree(grid, moments):
    rows = pl.DataFrame({"at": moments})
    found = rows.select(grid.slice(pl.col("at")))["at"].to_list()
    assert found == [grid.slice_of(moment) for moment in moments]


def rows_of(keys, start=0):
    keys = list(keys)
    return pl.DataFrame({"k": [str(key) for key in keys], "n": range(start, start + len(keys))})


def test_merging_in_parts_gives_each_group_once(monkeypatch):
    monkeypatch.setattr(keyed, "SHARD", 10)
    one = Keyed(("k",), ONE)
    frames = [one.partial(rows_of(range(100), start)) for start in (0, 5, 7)]
    parts = list(one.parts(frames))
    assert len(parts) > 5
    merged = one.merged(frames)
    assert merged.height == 100
    assert one.count([merged]) == 300
    totals = merged.select("k", *ONE.final)
    assert dict(totals.rows())["3"] == 3 + 8 + 10


def test_a_segment_list_stays_short_and_the_base_is_left_alone():
    one, state = Keyed(("k",), ONE), State()
    base = one.partial(rows_of(range(5000)))
    one.append(state, "w", base)
    for _ in range(200):
        one.append(state, "w", one.partial(rows_of(range(10))))
    frames = state.frames("w")
    assert len(frames) < 2 * FAN_IN
    assert frames[0] is base
    assert one.held(state) == 7000


def test_a_merge_that_would_not_shrink_is_put_off(monkeypatch):
    monkeypatch.setattr(keyed, "SMALL", 10)
    one, state = Keyed(("k",), ONE), State()
    for number in range(FAN_IN):
        one.append(state, "w", one.partial(rows_of(range(number * 100, number * 100 + 100))))
    assert len(state.frames("w")) == FAN_IN
    for number in range(FAN_IN):
        one.append(state, "w", one.partial(rows_of(range(number * 100, number * 100 + 100))))
    assert len(state.frames("w")) == 1


def test_each_null_key_names_its_column():
    rows = pl.DataFrame({"a": [1, None, None], "b": [None, 2, None]})
    kept, refused = refuse_nulls(rows, ["a", "b"])
    assert kept.height == 0
    assert [(one.rows.height, one.error) for one in refused] == [
        (2, "key a is null"),
        (1, "key b is null"),
    ]
