from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from window_streams import (
    CUTS,
    FLOW,
    SECOND,
    TOTALS,
    frame,
    run,
    seconds,
    stream,
    streams,
    summary,
)

from pydatastream.core.errors import SchemaError, StopError
from pydatastream.core.operator import EventTime, Flow
from pydatastream.core.state import State
from pydatastream.core.times import EVENT_TIME, FOREVER
from pydatastream.operators.tumbling import Tumbling


def oracle(events, size, lateness=0, offset=0, keyed=True):
    windows, late = defaultdict(list), []
    for event in events:
        start = (event.at - offset) // size * size + offset
        if start + size + lateness <= event.clock:
            late.append(event.id)
        else:
            windows[event.key if keyed else None, start].append(event)
    return {key: summary(rows) for key, rows in windows.items()}, late


def found(ran):
    rows = {
        (r.get("k"), seconds(r["window_start"])): (r["n"], r["total"], r["hi"]) for r in ran.rows
    }
    assert len(rows) == len(ran.rows), "a window was given twice"
    return rows


@settings(max_examples=120, deadline=None)
@given(streams(), CUTS, st.integers(0, 12), st.integers(0, 7))
def test_any_cut_gives_what_row_by_row_gives(events, cuts, lateness, offset):
    step = Tumbling(
        size="10s", by=["k"], aggregate=TOTALS, lateness=f"{lateness}s", offset=f"{offset}s"
    )
    windows, late = oracle(events, 10, lateness, offset)
    ran = run(step, events, cuts)
    assert found(ran) == windows
    assert sorted(ran.late) == late


@settings(max_examples=30, deadline=None)
@given(streams(), CUTS)
def test_without_keys_all_rows_are_one_group(events, cuts):
    ran = run(Tumbling(size="10s", aggregate=TOTALS), events, cuts)
    assert found(ran) == oracle(events, 10, keyed=False)[0]


def test_against_duckdb_on_many_rows():
    count = 50_000
    numbers = pl.int_range(count, eager=True)
    rows = pl.DataFrame(
        {"k": (numbers * 7919 % 400).cast(pl.String), "ts": numbers * 13_000, "id": numbers}
    ).with_columns(x=((numbers * 31) % 1009).cast(pl.Float64))
    rows = rows.with_columns(pl.col("ts").cast(EVENT_TIME)).select(FLOW.schema.names())
    step = Tumbling(size="1m", by="k", aggregate={**TOTALS, "mean": "avg(x)"})
    state = State()
    kernel = step.open(state, FLOW)
    given_out = []
    for piece in rows.iter_slices(1_777):
        given_out += [*kernel.on_batch(piece)]
        given_out += [*kernel.on_watermark(piece["ts"].to_physical().max())]
    given_out += [*kernel.on_watermark(FOREVER)]
    ours = pl.concat(given_out).with_columns(pl.col("window_start").to_physical())
    plain = rows.with_columns(pl.col("ts").to_physical())  # noqa: F841 - read by DuckDB
    theirs = duckdb.sql(
        "select k, ts // 60000000 * 60000000 as s, count(*), sum(x), max(x), avg(x) from plain "
        "group by all order by all"
    ).fetchall()
    columns = ["k", "window_start", "n", "total", "hi", "mean"]
    assert ours.select(columns).sort(columns).rows() == [pytest.approx(row) for row in theirs]
    assert kernel.held() == 0
    assert kernel.released == count
    assert state.names() == []


def test_rows_before_1970_have_their_windows():
    ran = run(
        Tumbling(size="1m", by="k", aggregate=TOTALS),
        stream([("a", -61, 1.0, 0), ("a", -1, 2.0, 0)]),
    )
    assert sorted(found(ran)) == [("a", -120), ("a", -60)]


def test_a_window_is_given_the_moment_it_is_complete():
    kernel = Tumbling(size="1m", aggregate=TOTALS, lateness="5s").open(State(), FLOW)
    assert [*kernel.on_batch(frame(stream([("a", 1, 1.0, 0)])))] == []
    assert [*kernel.on_watermark(65 * SECOND - 1)] == []
    (rows,) = kernel.on_watermark(65 * SECOND)
    assert rows["n"].to_list() == [1]
    assert [*kernel.on_watermark(66 * SECOND)] == []


def test_null_keys_are_refused_or_kept():
    events = stream([(None, 1, 1.0, 0), ("a", 2, 2.0, 0), (None, 3, 3.0, 0)])
    ran = run(Tumbling(size="1m", by="k", aggregate=TOTALS), events)
    assert ran.refused == [(0, "key k is null"), (2, "key k is null")]
    assert found(ran) == {("a", 0): (1, 2.0, 2.0)}
    ran = run(Tumbling(size="1m", by="k", aggregate=TOTALS, nulls="keep"), events, [1, 2])
    assert found(ran) == {("a", 0): (1, 2.0, 2.0), (None, 0): (2, 4.0, 3.0)}


def test_null_event_time_is_refused():
    kernel = Tumbling(size="1m", by="k", aggregate=TOTALS).open(State(), FLOW)
    rows = frame(stream([("a", 1, 1.0, 0)])).with_columns(ts=pl.lit(None, EVENT_TIME))
    (refused,) = kernel.on_batch(rows)
    assert refused.error == "event time ts is null"
    assert kernel.held() == 0


def test_many_segments_are_compacted_and_the_sum_stays():
    state = State()
    kernel = Tumbling(size="1h", by="k", aggregate=TOTALS).open(state, FLOW)
    for number in range(300):
        assert [*kernel.on_batch(frame(stream([("abc"[number % 3], number, 1.0, 0)])))] == []
    (name,) = state.names()
    assert len(state.frames(name)) <= 20
    assert kernel.held() == 300
    (rows,) = kernel.on_watermark(FOREVER)
    assert rows.sort("k")["n"].to_list() == [100, 100, 100]


def test_the_order_of_rows_is_that_of_first_sight():
    events = stream([(key, at, 1.0, 0) for at in (70, 5, 130) for key in "cab"])
    first, again = (run(Tumbling(size="1m", by="k", aggregate=TOTALS), events) for _ in range(2))
    assert first.rows == again.rows


def test_too_many_open_windows_stop_the_run():
    step = Tumbling(size="1us", aggregate=TOTALS, max_windows=10)
    state = State()
    kernel = step.open(state, FLOW)
    with pytest.raises(StopError, match="more than max_windows"):
        [*kernel.on_batch(frame(stream([("a", at, 1.0, 0) for at in range(11)])))]
    assert state.names() == []


def test_what_cannot_be_is_refused_at_check():
    with pytest.raises(ValidationError, match="at least 1us"):
        Tumbling(size="0s", aggregate=TOTALS)
    with pytest.raises(ValidationError):
        Tumbling(size="1m", aggregate={})
    with pytest.raises(SchemaError, match="did you mean"):
        Tumbling(size="1m", by="kk", aggregate=TOTALS).flow(
            Flow(pl.Schema({**FLOW.schema, "kkk": pl.String}), FLOW.time)
        )
    with pytest.raises(SchemaError, match="two columns"):
        Tumbling(size="1m", by="k", aggregate={"k": "count(*)"}).flow(FLOW)
    with pytest.raises(SchemaError, match="event time"):
        Tumbling(size="1m", aggregate=TOTALS).flow(Flow(FLOW.schema))


@settings(max_examples=40, deadline=None)
@given(streams(), CUTS)
def test_chained_windows_lose_nothing(events, cuts):
    small = Tumbling(
        size="5s", by="k", aggregate={"total": "sum(x)", "n": "count(*)"}, lateness="3s"
    )
    large = Tumbling(size="20s", by="k", aggregate={"n": "sum(n)"})
    first, second = small.open(State(), FLOW), large.open(State(), small.flow(FLOW))
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(events)}), len(events)]
    out: list[pl.DataFrame] = []
    late = 0
    for start, stop in pairwise(edges):
        watermark = events[stop - 1].after * SECOND
        given_out = [*first.on_batch(frame(events[start:stop])), *first.on_watermark(watermark)]
        for rows in given_out:
            if isinstance(rows, pl.DataFrame):
                assert [*second.on_batch(rows)] == []
            else:
                late += rows.rows.height
        out += [*second.on_watermark(watermark - 3 * SECOND)]
    for rows in first.on_watermark(FOREVER):
        assert [*second.on_batch(rows)] == []
    out += [*second.on_watermark(FOREVER)]
    assert sum(rows["n"].sum() for rows in out) + late == len(events)


def test_reads_names_keys_and_arguments():
    step = Tumbling(size="1m", by="k", aggregate={"mean": "avg(x)", "n": "count(*)"})
    assert step.reads(None) == {"k", "x"}
    assert step.lateness_allowed() == 0
    assert step.flow(FLOW).time == EventTime("window_end", -1)
    assert step.type_name() == "tumbling"
