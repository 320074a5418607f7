from __future__ import annotations

import math
import statistics
from collections import defaultdict

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from window_streams import CUTS, FLOW, SCHEMA, SECOND, frame, run, stream, streams

from pydatastream.core.batch import CLOCK
from pydatastream.core.errors import ExpressionError, SchemaError
from pydatastream.core.state import State
from pydatastream.operators.rolling import Rolling

ALL = {
    "n": "count(*)", "c": "count(x)", "total": "sum(x)", "mean": "avg(x)",
    "lo": "min(x)", "hi": "max(x)", "sd": "stddev(x)",
}  # fmt: skip


def expected(window):
    values = [event.x for event in window if event.valid]
    return {
        "n": len(window),
        "c": len(values),
        "total": sum(values),
        "mean": statistics.fmean(values) if values else None,
        "lo": min(values, default=None),
        "hi": max(values, default=None),
        "sd": statistics.stdev(values) if len(values) > 1 else None,
    }


def same(row, wanted):
    for name, value in wanted.items():
        if value is None:
            assert row[name] is None, name
        else:
            assert row[name] == pytest.approx(value, rel=1e-9, abs=1e-9), name


@settings(max_examples=100, deadline=None)
@given(streams(), CUTS, st.integers(1, 7), st.booleans())
def test_rows_form_in_any_cut(events, cuts, count, keyed):
    ran = run(Rolling(rows=count, by=["k"] if keyed else [], aggregate=ALL), events, cuts)
    assert [row["id"] for row in ran.rows] == [event.id for event in events]
    before = defaultdict(list)
    for event, row in zip(events, ran.rows, strict=True):
        mine = before[event.key if keyed else None]
        mine.append(event)
        same(row, expected(mine[-count:]))


@settings(max_examples=150, deadline=None)
@given(streams(), CUTS, st.integers(1, 15), st.integers(0, 9), st.booleans())
def test_duration_form_in_any_cut(events, cuts, length, lateness, keyed):
    step = Rolling(
        within=f"{length}s", lateness=f"{lateness}s", by=["k"] if keyed else [], aggregate=ALL
    )
    ran = run(step, events, cuts)
    on_time = [event for event in events if event.at + lateness >= event.clock]
    assert sorted(ran.late) == [event.id for event in events if event not in on_time]
    on_time.sort(key=lambda event: event.at)
    assert [row["id"] for row in ran.rows] == [event.id for event in on_time]
    for event, row in zip(on_time, ran.rows, strict=True):
        near = [
            other for other in on_time
            if event.at - length < other.at <= event.at and (not keyed or other.key == event.key)
        ]  # fmt: skip
        same(row, expected(near))


def test_rows_of_equal_time_wait_for_each_other():
    kernel = Rolling(within="10s", aggregate={"n": "count(*)"}).open(State(), FLOW)
    events = stream([("a", 5, 1.0, 0), ("a", 5, 1.0, 0), ("a", 6, 1.0, 0)])
    assert [*kernel.on_batch(frame(events[:1]))] == []
    assert [*kernel.on_watermark(5 * SECOND)] == []
    assert [*kernel.on_batch(frame(events[1:]))] == []
    (rows,) = kernel.on_watermark(6 * SECOND)
    assert rows["n"].to_list() == [2, 2]
    assert kernel.held() == 1


def test_rows_form_passes_the_clock_on():
    kernel = Rolling(rows=2, by="k", aggregate={"n": "count(*)"}).open(State(), FLOW)
    (rows,) = kernel.on_batch(frame(stream([("a", 9, 1.0, 0), ("a", 2, 1.0, 0)])))
    assert rows.columns == [*SCHEMA, "n", CLOCK]


def test_a_great_value_that_has_left_leaves_no_trace():
    values = [1e15, *(0.1 + n % 7 for n in range(2000))]
    events = stream([("a", n, x, 0) for n, x in enumerate(values)])
    for step in (
        Rolling(rows=20, aggregate={"total": "sum(x)", "sd": "stddev(x)"}),
        Rolling(within="20s", aggregate={"total": "sum(x)", "sd": "stddev(x)"}),
    ):
        last = run(step, events, range(0, 2000, 100)).rows[-1]
        assert last["total"] == pytest.approx(math.fsum(values[-20:]), rel=1e-9)
        assert last["sd"] == pytest.approx(statistics.stdev(values[-20:]), rel=1e-9)


def test_integers_stay_integers():
    schema = pl.Schema({**SCHEMA, "id": pl.Int64})
    step = Rolling(rows=2, aggregate={"s": "sum(id)", "hi": "max(id)", "m": "mean(id)"})
    added = step.flow(FLOW).schema
    assert [added[name] for name in ("s", "hi", "m")] == [pl.Int64, pl.Int64, pl.Float64]
    assert schema.names() == FLOW.schema.names()


def test_null_keys():
    events = stream([(None, 1, 1.0, 0), ("a", 2, 2.0, 0), (None, 3, 3.0, 0)])
    refusing = run(Rolling(rows=2, by="k", aggregate={"n": "count(*)"}), events)
    assert refusing.refused == [(0, "key k is null"), (2, "key k is null")]
    keeping = run(
        Rolling(rows=2, by="k", aggregate={"n": "count(*)"}, nulls="keep"), events, [1, 2]
    )
    assert [row["n"] for row in keeping.rows] == [1, 1, 2]


def test_reads_what_it_adds_to_and_what_it_rolls():
    step = Rolling(rows=2, by="k", aggregate={"m": "avg(x)"})
    assert step.reads(None) is None
    assert step.reads(frozenset({"m", "id"})) == {"k", "x", "id"}


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"aggregate": ALL}, ValidationError, "either"),
        ({"rows": 2, "within": "1m", "aggregate": ALL}, ValidationError, "either"),
        ({"within": "0s", "aggregate": ALL}, ValidationError, "at least 1us"),
        ({"rows": 2, "aggregate": {"q": "median(x)"}}, ExpressionError, "cannot be rolled"),
        ({"rows": 2, "aggregate": {"q": "count(distinct x)"}}, ExpressionError, "cannot be rolled"),
        ({"rows": 2, "aggregate": {"q": "x + 1"}}, ExpressionError, "cannot be rolled"),
        ({"rows": 2, "aggregate": {"q": "sum(k)"}}, SchemaError, "needs a number"),
        ({"rows": 2, "aggregate": {"x": "sum(x)"}}, SchemaError, "already"),
        ({"rows": 2, "by": "nn", "aggregate": ALL}, SchemaError, "no column"),
    ],
)
def test_what_cannot_be_is_refused_at_check(options, error, words):
    with pytest.raises(error, match=words):
        Rolling(**options).flow(FLOW)
