"""Gaps between windows are filled."""

from datetime import UTC, datetime

import pytest

from pydatastream.core.errors import SchemaError
from pydatastream.operators.resample import Resample


def step(**options):
    given = {"every": "10s", "by": ["device_id"], "aggregate": {"mean": "avg(temperature)"}}
    return Resample.model_validate({**given, **options})


def readings(bench):
    return bench.rows(
        device_id=["a", "b", "a", "b"],
        ts=[1, 2, 41, 45],
        temperature=[10.0, 1.0, 18.0, 1.0],
    )


def run(bench, step, *more):
    out = bench.run(step, readings(bench), *more, 100)["main"]
    seconds = out["window_start"].dt.epoch("s")
    return out.with_columns(at=seconds)


@pytest.mark.parametrize(
    ("fill", "wanted"),
    [
        ("previous", [10, 10, 10, 10, 18]),
        ("linear", [10, 12, 14, 16, 18]),
        ("zero", [10, 0, 0, 0, 18]),
        ("null", [10, None, None, None, 18]),
    ],
)
def test_a_gap_is_filled(bench, fill, wanted):
    out = run(bench, step(fill=fill))
    of_a = out.filter(device_id="a")
    assert of_a["at"].to_list() == [0, 10, 20, 30, 40]
    assert of_a["mean"].to_list() == wanted
    assert of_a["filled"].to_list() == [False, True, True, True, False]
    assert out.filter(device_id="b").height == 5
    assert (out["window_end"] - out["window_start"]).unique().dt.total_seconds().to_list() == [10]


def test_a_gap_that_is_too_long_is_left(bench):
    assert run(bench, step(limit=2))["filled"].sum() == 0
    assert run(bench, step(limit=3))["filled"].sum() == 6


def test_what_was_given_before_a_restart_is_remembered(bench):
    first, rest = readings(bench)[:2], readings(bench)[2:]
    whole = bench.run(step(), readings(bench), 100)["main"]
    assert bench.run(step(), first, 20, rest, 100)["main"].equals(whole)


def test_each_aggregate_is_filled_in_its_own_way(bench):
    both = {"n": "count(*)", "mean": "avg(temperature)"}
    out = run(bench, step(aggregate=both, fill={"n": "zero"})).filter(device_id="a")
    assert out["n"].to_list() == [1, 0, 0, 0, 1]
    assert out["mean"].to_list() == [10, 10, 10, 10, 18]


def test_what_follows_waits_as_long_as_a_gap_may_be():
    assert step(limit=6, lateness="5s").delay() == 65_000_000


def test_a_fill_that_does_not_fit_is_refused(bench):
    for aggregate, fill in (({"n": "count(*)"}, "linear"), ({"s": "max(status)"}, "zero")):
        with pytest.raises(SchemaError, match="cannot be filled"):
            step(aggregate=aggregate, fill=fill).flow(bench.flow)
    with pytest.raises(SchemaError, match="no column 'men'"):
        step(fill={"men": "zero"}).flow(bench.flow)


def test_the_clock_may_go_back(bench):
    """An older row opens an older window; what was given already is not given again."""
    rows = bench.rows(device_id=["a"] * 3, ts=[41, 1, 45], temperature=[1.0, 2.0, 3.0])
    out = bench.run(step(), rows, 100)["main"]
    assert out["window_start"].is_sorted()
    assert out["window_start"][0] == datetime.fromtimestamp(0, UTC)
    assert out.height == 5
