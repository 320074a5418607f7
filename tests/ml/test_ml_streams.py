"""Detectors of one column against plain loops over the rows, and against River."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from pydatastream.core.operator import EventTime, Flow
from pydatastream.core.times import EVENT_TIME
from pydatastream.ml.adwin import Adwin
from pydatastream.ml.cusum import Cusum
from pydatastream.ml.ewma import Ewma
from pydatastream.ml.gaussian_tail import GaussianTail
from pydatastream.ml.new_peak import NewPeak
from pydatastream.ml.page_hinkley import PageHinkley
from pydatastream.ml.quantile_filter import QuantileFilter
from pydatastream.ml.robust_z import RobustZ
from pydatastream.ml.seasonal import Seasonal
from pydatastream.operators.moving import Moving
from pydatastream.operators.smooth import Smooth
from pydatastream.parts.scoring.judging import judged

drift = pytest.importorskip("river.drift", reason="River is compared with where it is installed")

FLOW = Flow(pl.Schema({"x": pl.Float64(), "ts": EVENT_TIME}), EventTime("ts"))
CHANCE = np.random.default_rng(5)
X = CHANCE.normal(10, 2, 700) + np.repeat([0.0, 3.0, 0.0], [300, 200, 200])


def of(step, values=X, every=3600):
    start = datetime(2024, 1, 1, tzinfo=UTC)
    times = [start + timedelta(seconds=every * at) for at in range(len(values))]
    rows = pl.DataFrame({"x": values, "ts": times}, schema=FLOW.schema)
    return judged([step], rows, FLOW, batch=97)


def close(found, wanted, absolute=1e-9):
    wanted = pl.Series(wanted, dtype=pl.Float64)
    assert (found.is_null() == wanted.is_null()).all()
    found, wanted = found.drop_nulls().to_numpy(), wanted.drop_nulls().to_numpy()
    assert found == pytest.approx(wanted, rel=1e-6, abs=absolute)


def weighted(values, alpha):
    """Mean and spread with weights that fall by 1 - alpha from row to row."""
    weights = (1 - alpha) ** np.arange(len(values))[::-1]
    mean = np.average(values, weights=weights)
    return mean, math.sqrt(np.average((values - mean) ** 2, weights=weights))


def test_ewma_and_smooth_weigh_the_rows():
    known = [weighted(X[: at + 1], 0.1) for at in range(700)]
    wanted = [None] * 5 + [abs(X[at] - known[at - 1][0]) / known[at - 1][1] for at in range(5, 700)]
    close(of(Ewma(column="x", alpha=0.1, warmup=5))["score"], wanted)
    found = of(Smooth(column="x", alpha=0.1))
    close(found["mean"], [mean for mean, _ in known])
    close(found["spread"], [spread for _, spread in known])


def test_moving_is_the_mean_and_spread_of_the_last_rows():
    found, windows = (
        of(Moving(column="x", rows=25)),
        [X[max(0, at - 24) : at + 1] for at in range(700)],
    )
    close(found["mean"], [one.mean() for one in windows])
    close(found["spread"][1:], [one.std() for one in windows][1:])


def test_moving_loses_nothing_of_large_numbers():
    found = of(Moving(column="x", rows=25), X + 1e9)
    close(found["spread"][24:], [(X + 1e9)[at - 24 : at + 1].std() for at in range(24, 700)])
    assert of(Moving(column="x", rows=7), np.full(50, 0.1))["spread"].max() == 0


def test_gaussian_tail_is_the_chance_of_a_normal_value():
    wanted = [None] * 40
    for at in range(40, 700):
        window = X[max(0, at - 100) : at]
        wanted.append(-math.log10(math.erfc(abs(X[at] - window.mean()) / window.std() / 2**0.5)))
    close(of(GaussianTail(column="x", window=100, warmup=40))["score"], wanted, absolute=1e-7)


def test_robust_z_is_of_medians():
    away, wanted = [], []
    for at, x in enumerate(X):
        median = np.median(X[max(0, at - 50) : at]) if at else None
        past = [one for one in away[-50:] if one is not None]
        wanted.append(abs(x - median) / (1.4826 * np.median(past)) if at >= 30 else None)
        away.append(abs(x - median) if at else None)
    close(of(RobustZ(column="x", window=50, warmup=30))["score"], wanted)


def test_quantile_filter_is_outside_of_quantiles():
    wanted = [None] * 30
    for at in range(30, 700):
        low, high = np.quantile(X[max(0, at - 200) : at], [0.05, 0.95])
        wanted.append(max(low - X[at], X[at] - high, 0) / (high - low))
    close(of(QuantileFilter(column="x", window=200, low=0.05, high=0.95))["score"], wanted)


def test_cusum_adds_up_and_never_falls_below_nothing():
    up, down, wanted = 0.0, 0.0, [None] * 30
    for at in range(30, 700):
        mean, spread = weighted(X[:at], 0.01)
        z = max(-10, min(10, (X[at] - mean) / spread))
        up, down = max(0, up + z - 0.5), max(0, down - z - 0.5)
        wanted.append(max(up, down))
    found = of(Cusum(column="x", alpha=0.01))
    close(found["score"], wanted)
    assert found["up"][:300].max() < 8 < found["up"][300:330].max()


def test_page_hinkley_is_that_of_river_until_its_first_alarm():
    theirs = drift.PageHinkley(min_instances=1, delta=0.005, threshold=1e9, alpha=0.9999)
    wanted = []
    for x in X:
        theirs.update(x)
        rise = theirs._sum_increase - theirs._min_increase
        wanted.append(max(rise, theirs._max_decrease - theirs._sum_decrease))
    found = of(PageHinkley(column="x", warmup=1))["score"]
    assert found[1:].to_numpy() == pytest.approx(np.array(wanted[1:]), rel=1e-6, abs=1e-9)


def test_adwin_finds_the_changes_that_river_finds():
    chance = np.random.default_rng(2)
    values = np.concatenate([chance.normal(level, 0.1, 1500) for level in (0.3, 0.6, 0.6, 0.35)])
    theirs, found_by_river = drift.ADWIN(), []
    for at, x in enumerate(values):
        theirs.update(x)
        if theirs.drift_detected:
            found_by_river.append(at)
    found = of(Adwin(column="x"), values)
    ours = {at // 1500: at for at in reversed(found["drift"].arg_true().to_list())}
    assert list(ours) == [3, 1], "a drop may go on at the next trials"
    assert all(abs(ours[at // 1500] - at) <= 64 for at in found_by_river)
    assert found["width"][-1] <= 1600


def test_seasonal_knows_the_hour_of_the_week():
    hours = np.arange(24 * 7 * 6)
    values = 10 + 5 * np.sin(hours / 24 * 2 * np.pi) + 20 * (hours % 168 == 100)
    values = values + np.random.default_rng(1).normal(0, 0.1, hours.size)
    values[950] += 5
    found = of(Seasonal(column="x", memory=0.01), values)
    assert found["score"][:168].null_count() == 168
    assert found["score"][700:].arg_max() == 250
    assert found["expected"][940] == pytest.approx(30 + values[940] - values[940], rel=0.2)


def test_a_new_peak_tops_the_last_scores():
    values = np.array([1.0, 2, 2, 1.5, 3, 1, 1, 1, 1.5, 2])
    peaks = of(NewPeak(column="x", rows=3), values)["peak"].to_list()
    assert peaks == [1, 2, 0, 0, 3, 0, 0, 0, 1.5, 2]


def test_a_change_after_a_constant_is_infinitely_odd():
    values = np.append(np.full(60, 7.0), [7.0, 8.0])
    for step in (Ewma, RobustZ, GaussianTail, QuantileFilter):
        assert of(step(column="x"), values)["score"][60:].to_list() == [0.0, math.inf]
