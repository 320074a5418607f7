from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from pydatastream.dashboard import frames

START = datetime(2026, 1, 1, tzinfo=UTC)


def moments(count, step=1.0):
    return pl.Series("t", [START + timedelta(seconds=step * n) for n in range(count)]).cast(
        pl.Datetime("us", "UTC")
    )


def rows(count, **columns):
    return pl.DataFrame({"t": moments(count), **columns})


def test_a_long_line_has_few_points_and_keeps_every_peak():
    values = [0.0] * 10_000
    values[7_777] = 9.0
    found = frames.lines(rows(10_000, v=values), "t", ["v"])
    assert found.height <= frames.MOST
    assert found["value"].max() == 9.0
    peak = found.filter(pl.col("value") == 9)["time"][0]
    assert timedelta(0) <= START + timedelta(seconds=7_777) - peak <= timedelta(seconds=17)


def test_a_short_line_is_drawn_as_it_is():
    found = frames.lines(rows(3, a=[1, 2, 3], b=[4.0, None, float("nan")]), "t", ["a", "b"])
    assert found.schema == frames.LONG
    assert [row[1:] for row in found.rows()] == [("a", 1), ("b", 4), ("a", 2), ("a", 3)]


def test_there_are_few_lines_and_they_are_the_highest():
    given = rows(100, k=[f"k{n}" for n in range(100)], v=list(range(100)))
    found = frames.lines(given, "t", ["v"], by="k")
    assert sorted(found["series"].unique()) == sorted(f"k{n}" for n in range(80, 100))


def test_layers_add_up_at_each_moment():
    given = pl.DataFrame({"t": moments(4, 0.0), "k": ["a", "a", "b", None], "v": [1, 2, 3, 4]})
    found = frames.layers(given, "t", ["v"], "k", 10)
    assert dict(found.select("series", "value").rows()) == {"a": 3.0, "b": 3.0, "-": 4.0}


def test_many_layers_are_means_of_sums_not_of_rows():
    doubled = pl.concat([rows(2_000, k=["a"] * 2_000, v=[1] * 2_000)] * 2)
    found = frames.layers(doubled, "t", ["v"], "k", 10)
    assert found.height <= frames.MOST
    assert found["value"].unique().to_list() == [2.0]


def test_bars_are_the_greatest_sums_or_counts():
    given = rows(4, k=["a", "b", "b", None], v=[5, 1, 2, 100])
    assert frames.bars(given, "v", "k", 1).rows() == [("a", 5.0)]
    assert frames.bars(given, None, "k", 5).rows() == [("b", 2.0), ("a", 1.0)]


def test_each_value_of_a_list_has_its_bar():
    given = rows(3, k=[["a", "b"], ["b"], []])
    assert frames.bars(given, None, "k", 5).rows() == [("b", 2.0), ("a", 1.0)]


def test_columns_are_stacked_too():
    found = frames.layers(rows(2, a=[1, 2], b=[3, 4]), "t", ["a", "b"], None, 10)
    assert found["value"].to_list() == [1.0, 3.0, 2.0, 4.0]


def test_the_last_told_span_of_an_alert_counts():
    start, last = moments(1)[0], moments(9)[8]
    given = pl.DataFrame(
        {"start": [start, start], "last": [start, last], "state": ["raised", "resolved"]}
    )
    assert frames.spans(given).rows() == [(start, last)]
    assert frames.spans(given, last + timedelta(hours=1)).rows() == [(start, last)]
    assert frames.spans(pl.DataFrame({"x": [1]})).schema == frames.SPANS


def test_an_alert_that_is_not_over_lasts_until_now():
    start, told, now = moments(9)[0], moments(9)[2], moments(9)[8]
    given = pl.DataFrame(
        {"start": [start] * 3, "last": [start, start, told], "state": ["raised", "raised", "ended"]}
    )
    assert frames.spans(given, now).rows() == [(start, now)]  # two began, and one is over
    assert frames.spans(given.head(1)).rows() == [(start, start)]


def test_stretches_are_where_a_condition_holds():
    given = rows(6, on=[False, True, True, False, None, True])
    t = given["t"]
    assert frames.stretches(given, "t", pl.col("on")).rows() == [(t[1], t[3]), (t[5], t[5])]


def test_the_past_can_be_looked_at():
    given = rows(100, v=range(100))
    then = frames.until(given, "t", given["t"][49])
    assert then.height == 50
    assert frames.recent(then, "t", 10)["v"].to_list() == list(range(40, 50))
    assert frames.until(given, None, START).height == 100


@pytest.mark.parametrize(
    "empty", [rows(0, v=pl.Series([], dtype=pl.Float64), k=pl.Series([], dtype=pl.String))]
)
def test_nothing_is_no_trouble(empty):
    assert frames.lines(empty, "t", ["v"]).height == 0
    assert frames.lines(empty, "t", ["v"], by="k").height == 0
    assert frames.layers(empty, "t", ["v"], None, 5).height == 0
    assert frames.bars(empty, "v", "k", 5).height == 0
    assert frames.stretches(empty, "t", pl.lit(True)).height == 0
    assert frames.recent(empty, "t", 5).height == 0
