"""The score of the Numenta Anomaly Benchmark, proven on its published figures."""

import json
import random
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pydatastream.parts.scoring.windowed import LOW_FALSE, LOW_MISSED, STANDARD, Judged, Sweep

NAB = Path(__file__).parents[3] / "shared" / "data" / "nab"
PROFILES = {
    "standard": STANDARD,
    "reward_low_FP_rate": LOW_FALSE,
    "reward_low_FN_rate": LOW_MISSED,
}


def test_nothing_found_is_0_and_everything_at_once_100():
    spans = [(40, 49), (80, 99)]
    early = np.zeros(120)
    early[[40, 80]] = 1
    sweep = Sweep.of([(Judged.of(120, spans), early)])
    assert sweep.at(2.0) == 0
    assert sweep.at(1.0) == pytest.approx(100)
    assert sweep.best() == (1.0, pytest.approx(100))


def test_a_late_alarm_counts_less_and_a_false_one_costs():
    spans = [(40, 49)]
    at = {row: np.eye(1, 120, row)[0] for row in (10, 30, 45, 49, 50, 110)}
    score = {row: Sweep.of([(Judged.of(120, spans), one)]).at(1.0) for row, one in at.items()}
    assert score[10] == 0, "probation is not judged"
    assert score[45] > score[49] > 50
    assert score[30] == score[110] == pytest.approx(-50 * 0.11)
    assert 0 > score[50] > score[110], "just behind a window is less bad than far from one"


def test_the_best_of_several_alarms_in_a_window_counts():
    one, all_ = np.eye(1, 120, 42)[0], np.zeros(120)
    all_[42:50] = 1
    judged = Judged.of(120, [(40, 49)])
    assert Sweep.of([(judged, one)]).at(1.0) == Sweep.of([(judged, all_)]).at(1.0)


@pytest.mark.skipif(not NAB.exists(), reason="the Numenta Anomaly Benchmark is not here")
@pytest.mark.parametrize("name", PROFILES)
def test_the_published_scores_of_the_random_detector_come_out(name):
    """Its published run can be made again: Python's dice, seeded with 42 for every file."""
    published = json.loads((NAB / "config/final_results.json").read_text())["random"][name]
    threshold = json.loads((NAB / "config/thresholds.json").read_text())["random"][name]
    files = []
    for file, windows in json.loads((NAB / "labels/combined_windows.json").read_text()).items():
        times = pl.read_csv(NAB / "data" / file)["timestamp"]
        spans = [tuple(int(times.index_of(end[:19])) for end in window) for window in windows]
        dice = random.Random(42)
        scores = np.array([dice.uniform(0, 1) for _ in range(times.len())])
        files.append((Judged.of(times.len(), spans, PROFILES[name]), scores))
    found = Sweep.of(files, PROFILES[name]).at(threshold["threshold"])
    assert found == pytest.approx(published, abs=1e-6)
