"""The most frequent values: exact while there are counters, within the bound when there are not."""

import numpy as np
import polars as pl
import pytest

from pydatastream.core.errors import ConfigError
from pydatastream.parts.sql import heavy
from pydatastream.pipeline import Pipeline


def counters(values):
    return pl.DataFrame({"x": values}).select(heavy.counted(pl.col("x"))).to_series()


def counts(lists):
    return {one["value"]: one["len"] for one in lists.to_list()[0]}


def merged(lists):
    flat = pl.concat(lists).to_frame("x").select(pl.col("x").explode())
    return flat.select(heavy.merged(pl.col("x"))).to_series()


@pytest.mark.parametrize("parts", [1, 7])
def test_no_count_is_wrong_by_more_than_the_bound(parts):
    """Agarwal et al., theorem 2.2: too small by at most n / (counters + 1), merged anyhow."""
    values = np.random.default_rng(2).zipf(1.2, 200_000) % 50_000
    found = merged([counters(part) for part in np.array_split(values, parts)])
    kept, bound = counts(found), len(values) / (heavy.COUNTERS + 1)
    truth = pl.Series("x", values).value_counts().rows()
    assert len(kept) <= heavy.COUNTERS
    for value, count in truth:
        assert 0 <= count - kept.get(value, 0) <= bound


def test_with_counters_enough_it_is_exact():
    values = [*"aaabbc", None]
    assert counts(merged([counters(values), counters(["b", "c"])])) == {"a": 3, "b": 3, "c": 2}


def top(many, values):
    times = pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 2), "1s",
                              time_zone="UTC", eager=True).head(len(values))  # fmt: skip
    rows = pl.DataFrame({"ts": times, "x": values})
    windows = Pipeline.read("memory", rows=rows, time="ts").tumbling(
        "1d", top=f"approx_top(x, {many})"
    )
    return windows.collect()["top"].to_list()


def test_it_is_an_aggregate():
    assert top(2, ["b", "a", "b", None, "a", "c"]) == [["a", "b"]]
    assert top(9, [None, None]) == [[]]
    assert top(1, [2.5, 1.5, 2.5]) == [[2.5]]


@pytest.mark.parametrize("many", ["0", "101", "1.5", "'a'"])
def test_how_many_is_a_small_number(many):
    with pytest.raises(ConfigError, match="from 1 to 100"):
        top(many, ["a"])
