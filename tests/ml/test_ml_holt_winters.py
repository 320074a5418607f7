"""Forecasts against statsmodels, which computes the same from the same start."""

import numpy as np
import polars as pl
import pytest

from pydatastream.core.operator import Flow
from pydatastream.ml.holt_winters import HoltWinters
from pydatastream.parts.scoring.judging import judged

holtwinters = pytest.importorskip(
    "statsmodels.tsa.holtwinters", reason="statsmodels is compared with where it is installed"
)

FLOW = Flow(pl.Schema({"x": pl.Float64()}))
AT = np.arange(480)
X = 50 + 0.1 * AT + 8 * np.sin(AT / 24 * 2 * np.pi) + np.random.default_rng(1).normal(0, 1, 480)


def of(values, **options):
    step = HoltWinters(column="x", **options)
    return judged([step], pl.DataFrame({"x": values}), FLOW, batch=31)


def theirs(values, season):
    """Their one-step forecasts and the next 24, begun as ours: by the mean of the first season."""
    first = values[:season]
    level = first.mean()
    model = holtwinters.ExponentialSmoothing(
        values[season:],
        trend="add",
        seasonal="add" if season > 1 else None,
        seasonal_periods=season if season > 1 else None,
        initialization_method="known",
        initial_level=level,
        initial_trend=0.0,
        initial_seasonal=list(first - level) if season > 1 else None,
    )
    fixed = {"smoothing_level": 0.3, "smoothing_trend": 0.05}
    if season > 1:
        fixed["smoothing_seasonal"] = 0.1
    fit = model.fit(**fixed, optimized=False)
    return fit.fittedvalues, fit.forecast(24)


@pytest.mark.parametrize("season", [24, 7, 1])
def test_it_expects_what_statsmodels_expects(season):
    expected, forecast = theirs(X, season)
    found = of(X, season=season)
    assert found["expected"][:season].null_count() == season
    assert found["expected"][season:].to_numpy() == pytest.approx(expected, rel=1e-9)
    for ahead in (1, 2, 23):  # theirs leaves the last row out of the season for a whole one ahead
        last = of(X, season=season, ahead=ahead)["forecast"][-1]
        assert last == pytest.approx(forecast[ahead - 1], rel=1e-9)


def test_a_season_is_learnt():
    found = of(X, season=24)
    apart = (found["expected"] - X)[240:]
    assert apart.std() < 2 < (of(X)["expected"] - X)[240:].std()
