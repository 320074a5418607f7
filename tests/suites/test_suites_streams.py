"""Suites of one value in time: what they reach, and that they take other files of that shape."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pydatastream.core.errors import ConfigError
from pydatastream.parts.scoring.windowed import Judged, Sweep
from pydatastream.suites import DATA, measured

SHARED = Path(__file__).parents[2] / DATA


def data(folder):
    if not (SHARED / folder).is_dir():
        pytest.skip(f"the data are not there: {SHARED / folder}")
    return SHARED


def test_nab_is_beaten_with_one_configuration(tmp_path):
    found = measured("nab", data("nab"))
    assert found.figures["NAB score"] >= 52
    assert found.rows == 365_558
    found.save(tmp_path)
    again = pl.read_csv(tmp_path / "realTweets" / "Twitter_volume_AAPL.csv")
    assert again.columns == ["row", "score", "alarm"]
    assert again.height == 15_902
    assert again["alarm"].sum() > 0


def test_wsn_finds_the_steam_and_nothing_else():
    figures = measured("wsn", data("wsn")).figures
    assert figures["ROC-AUC"] >= 0.98
    assert figures["alarms on motes without an event"] == 0
    assert figures["of these found"] == figures["motes with an event"] == 1


def hours(values):
    times = pl.datetime_range(
        pl.datetime(2024, 1, 1), pl.datetime(2025, 1, 1), "5m", eager=True
    ).dt.to_string("%Y-%m-%d %H:%M:%S")
    return pl.DataFrame({"timestamp": times[: len(values)], "value": values})


def test_nab_reads_any_folder_of_its_shape(tmp_path):
    """A step in one file; another is constant; in a third nothing can be read; labels of one."""
    values = np.random.default_rng(1).normal(10, 1, 4000)
    values[3000:] += 30
    (tmp_path / "labels").mkdir()
    (tmp_path / "data" / "some").mkdir(parents=True)
    rows = hours(values)
    rows.write_csv(tmp_path / "data/some/step.csv")
    hours([5.0] * 100).write_csv(tmp_path / "data/some/constant.csv")
    hours(["n/a", "inf", "nan", "", "1e400"]).write_csv(tmp_path / "data/some/bad.csv")
    window = [rows["timestamp"][2990], rows["timestamp"][3100]]
    labels = {"some/step.csv": [window], "some/constant.csv": []}
    (tmp_path / "labels/combined_windows.json").write_text(json.dumps(labels))
    found = measured("nab", tmp_path)
    assert found.figures["NAB score"] > 90
    judged = found.outputs["some/step"]["alarm"][600:]
    assert judged.arg_max() == 3000 - 600
    assert found.outputs["some/bad"]["score"].to_list() == [0.0] * 5
    assert found.outputs["some/constant"]["alarm"].sum() == 0


def test_nab_without_labels_scores_and_measures_nothing(tmp_path):
    hours(np.arange(50.0)).write_csv(tmp_path / "one.csv")
    found = measured("nab", tmp_path)
    assert found.outputs["one"].height == 50
    assert "NAB score" not in found.figures


def test_wsn_reads_any_file_of_its_shape(tmp_path):
    chance = np.random.default_rng(1)
    rows = pl.DataFrame(
        {
            "mote_id": [1, 2] * 1500,
            "humidity": chance.normal(50, 1, 3000),
            "temperature": chance.normal(20, 1, 3000),
        }
    )
    odd = pl.col("mote_id").eq(2) & pl.int_range(pl.len()).is_between(2500, 2520)
    labelled = rows.with_columns(
        odd.cast(pl.Int8).alias("label"), pl.col("humidity") + 40 * odd.cast(pl.Int8)
    )
    labelled.write_csv(tmp_path / "one.csv")
    rows.write_csv(tmp_path / "unlabelled.csv")
    found = measured("wsn", tmp_path)
    assert found.figures["ROC-AUC"] > 0.99
    assert found.outputs["unlabelled"]["alarm"].sum() == 0
    (tmp_path / "one.csv").unlink()
    assert math.isnan(measured("wsn", tmp_path).figures["ROC-AUC"])


def test_a_sweep_is_what_counting_gives():
    chance = np.random.default_rng(3)
    scores = chance.integers(0, 20, 400).astype(float)
    judged = Judged.of(400, [(100, 139), (300, 319)])
    sweep = Sweep.of([(judged, scores)])
    for threshold in range(21):
        alarm = scores[judged.first :] >= threshold
        raw = judged.worth[alarm & (judged.window < 0)].sum()
        for left in (100, 300):
            inside = judged.worth[alarm & (judged.window == left)]
            raw += max(inside, default=-1.0)
        assert sweep.at(threshold) == pytest.approx(100 * (raw + 2) / 4)


@pytest.mark.parametrize("suite", ["wsn", "skab", "shuttle", "nslkdd", "ddos"])
def test_a_file_of_another_shape_is_named(suite, tmp_path):
    (tmp_path / "anomaly-free.csv").write_text("a\n1,2,3\n4\n")
    with pytest.raises(ConfigError, match="suite"):
        measured(suite, tmp_path)
