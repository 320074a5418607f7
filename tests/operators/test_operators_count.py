from __future__ import annotations

from collections import defaultdict

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from window_streams import CUTS, FLOW, SECOND, TOTALS, frame, run, seconds, stream, streams, summary

from pydatastream.core.batch import CLOCK
from pydatastream.core.operator import Flow
from pydatastream.core.state import State
from pydatastream.core.times import FOREVER
from pydatastream.operators.count_window import Count


def oracle(events, size, partial=True, keyed=True):
    keys = defaultdict(list)
    for event in events:
        keys[event.key if keyed else None].append(event)
    windows = {}
    for key, rows in keys.items():
        for start in range(0, len(rows), size):
            window = rows[start : start + size]
            if partial or len(window) == size:
                times = [event.at for event in window]
                windows[key, start // size] = (min(times), max(times), *summary(window))
    return windows


def found(ran):
    return {
        (r.get("k"), r["window"]): (
            seconds(r["window_start"]), seconds(r["window_end"]), r["n"], r["total"], r["hi"]
        )
        for r in ran.rows
    }  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(streams(), CUTS, st.integers(1, 9), st.booleans(), st.booleans())
def test_any_cut_gives_what_row_by_row_gives(events, cuts, size, partial, keyed):
    step = Count(size=size, by=["k"] if keyed else [], aggregate=TOTALS, partial=partial)
    ran = run(step, events, cuts)
    assert found(ran) == oracle(events, size, partial, keyed)
    assert len(found(ran)) == len(ran.rows)


def test_the_spelling_and_the_shape():
    step = Count(size=100, by=["k"], aggregate=TOTALS)
    assert step.type_name() == "count"
    names = ["k", "window", "window_start", "window_end", "n", "total", "hi"]
    assert step.flow(FLOW).schema.names() == names
    assert step.flow(FLOW).time.column == "window_end"
    assert step.lateness_allowed() is None


def test_without_event_time():
    flow = Flow(FLOW.schema)
    step = Count(size=2, by="k", aggregate=TOTALS)
    assert step.flow(flow).schema.names() == ["k", "window", "n", "total", "hi"]
    assert step.flow(flow).time is None
    ran = run(step, stream([("a", 3, 1.0, 0), ("a", 1, 2.0, 0)]), [1], flow=flow)
    assert ran.rows == [{"k": "a", "window": 0, "n": 2, "total": 3.0, "hi": 2.0}]


def test_the_clock_is_that_of_the_row_that_filled_the_window():
    kernel = Count(size=2, by="k", aggregate=TOTALS).open(State(), FLOW)
    rows = [
        ("a", 9, 1.0, 0),
        ("b", 5, 1.0, 0),
        ("a", 4, 1.0, 0),
        ("a", 30, 1.0, 0),
        ("b", 6, 1.0, 0),
    ]
    (full,) = kernel.on_batch(frame(stream(rows)))
    assert full.select("k", pl.col(CLOCK) // SECOND).rows() == [("a", 9), ("b", 30)]


def test_null_keys():
    events = stream([(None, 1, 1.0, 0), ("a", 2, 2.0, 0), (None, 3, 3.0, 0)])
    assert len(run(Count(size=2, by="k", aggregate=TOTALS), events).refused) == 2
    kept = run(Count(size=2, by="k", aggregate=TOTALS, nulls="keep"), events, [1, 2])
    assert found(kept)[None, 0] == (1, 3, 2, 4.0, 3.0)


def test_rows_of_one_batch_come_in_the_order_in_which_windows_filled():
    rows = [("b", 1, 1.0, 0), ("a", 2, 1.0, 0), ("a", 3, 1.0, 0), ("b", 4, 1.0, 0)]
    kernel = Count(size=2, by="k", aggregate=TOTALS).open(State(), FLOW)
    (full,) = kernel.on_batch(frame(stream(rows)))
    assert full["k"].to_list() == ["a", "b"]
    assert [*kernel.on_watermark(FOREVER)] == []


def test_what_cannot_be_is_refused_at_check():
    with pytest.raises(ValidationError):
        Count(size=0, aggregate=TOTALS)
