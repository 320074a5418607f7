"""The functions that users were promised by name: thin forms of steps that can do more."""

import math

import polars as pl
import pytest

from pydatastream import Pipeline
from pydatastream.config.loading import loads
from pydatastream.core.errors import ConfigError

READINGS = pl.DataFrame(
    {
        "device_id": ["a", "b", "a", "b", "a"],
        "ts": ["2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z", "2026-01-01T00:00:59Z",
               "2026-01-01T00:01:30Z", "2026-01-01T00:02:00Z"],
        "temperature": [9.9, 10.0, None, 15.0, math.nan],
        "n": [1, 2, 3, 4, 5],
    }
)  # fmt: skip

PROMISED = """\
source: {type: generate, columns: {temperature: i}}
processor:
  - name: filter_low
    function: filter_low_temperature
    args: {threshold: %s}
output: {type: console}
"""


def readings():
    return Pipeline.read("memory", rows=READINGS.to_dicts(), time="ts")


def loaded(threshold="10", **environment):
    file = loads(PROMISED % threshold, "config.yaml", environment=environment)
    (step,) = file.steps
    return step.component.threshold, step.origins["threshold"]


def test_low_and_missing_temperatures_are_dropped():
    assert readings().filter_low_temperature(10).collect()["n"].to_list() == [2, 4]
    assert readings().filter_low_temperature(4, column="n").collect()["n"].to_list() == [4, 5]


@pytest.mark.parametrize("written", ["10", '"10"', '" 10 "', "10.0"])
def test_a_threshold_is_a_number_however_it_is_written(written):
    assert loaded(written)[0] == 10


def test_a_threshold_that_is_none_is_refused():
    with pytest.raises(ConfigError, match=r"config.yaml:5:12: .*threshold.*warm"):
        loaded("warm")
    with pytest.raises(ConfigError, match="threshold"):
        loaded("nan")
    with pytest.raises(ConfigError, match="is no number but string"):
        readings().filter_low_temperature(column="device_id").collect()


def test_the_promised_variables_change_the_threshold():
    assert loaded() == (10, "file config.yaml:5")
    assert loaded(TEMPERATURE_THRESH="15") == (15, "environment TEMPERATURE_THRESH")
    both = {"TEMPERATURE_THRESH": "15", "TEMPERATURE_THRESHOLD": " 16 "}
    assert loaded(**both) == (16, "environment TEMPERATURE_THRESHOLD")
    assert loaded(**both, FILTER_LOW_THRESHOLD="17") == (17, "environment FILTER_LOW_THRESHOLD")


def test_rows_are_counted_by_window():
    counts = readings().windowed_count("1m", by="device_id").collect().sort("window_start")
    assert counts.columns == ["device_id", "window_start", "window_end", "count"]
    assert sorted(counts["count"].to_list()) == [1, 1, 1, 2]
    assert readings().windowed_count().collect()["count"].to_list() == [3, 1, 1]


def test_a_sum_rolls_over_the_last_rows_of_a_key():
    sums = readings().rolling_sum(2, column="n", by="device_id").collect()
    assert sums["rolling_sum"].to_list() == [1, 2, 4, 6, 8]
    warm = readings().rolling_sum(3).collect()["rolling_sum"]
    assert warm.round(1).to_list() == [9.9, 19.9, 19.9, 25.0, 15.0]
    odd = Pipeline.read("memory", rows=[{'a "b"': 1}, {'a "b"': 2}])
    assert odd.rolling_sum(5, column='a "b"').collect()["rolling_sum"].to_list() == [1, 3]
