import numpy as np
import polars as pl
import pytest
from ml_streams import NAMES, correlated, framed, through

from pydatastream.ml.pca import Chart, Pca


def test_it_says_what_scikit_learn_says():
    decomposition = pytest.importorskip("sklearn.decomposition", reason="it is compared with")
    values = correlated(500)
    found = through(Pca(columns=NAMES, fit=200, adapt=0), framed(values))[200:]
    scaled = (values - values[:200].mean(axis=0)) / values[:200].std(axis=0)
    plane = decomposition.PCA(0.85).fit(scaled[:200])
    inside = plane.transform(scaled)
    t2 = (inside**2 / plane.explained_variance_).sum(axis=1)
    q = ((scaled - plane.inverse_transform(inside)) ** 2).sum(axis=1)
    np.testing.assert_allclose(found["t2"], t2[200:] / t2[:200].max(), rtol=1e-8)
    np.testing.assert_allclose(found["q"], q[200:] / q[:200].max(), rtol=1e-8)
    assert found["score"].equals(found.select(score=pl.max_horizontal("t2", "q"))["score"])


def test_the_cause_is_the_column_that_left_the_plane():
    values = correlated(400) + np.random.default_rng(1).normal(size=(400, 4))
    for number, name in enumerate(NAMES):
        odd = values.copy()
        odd[300:, number] += 10
        found = through(Pca(columns=NAMES, fit=200, adapt=0), framed(odd))[300:]
        assert found["cause"].mode()[0] == name
        assert found["score"].median() > 1


def test_smoothed_it_sees_a_small_change_that_lasts():
    values = correlated(1200)
    values[800:] += 0.25
    plain, smooth = (
        through(Pca(columns=NAMES, fit=400, smooth=span, adapt=0), framed(values))
        for span in (1, 20)
    )
    rises = [
        one["score"][830:].median() / one["score"][400:800].median() for one in (plain, smooth)
    ]
    assert rises[1] > 3 * rises[0]


def test_it_follows_usual_rows_and_not_odd_ones():
    chart = Chart(fit=100, explains=0.85, adapt=0.5, limit=1.0, smooth=1, width=4)
    values = correlated(600)
    chart.step(values[:100], learn=True)
    start = chart.mean.copy()
    chart.step(values[100:200] + 50, learn=True)
    assert np.array_equal(chart.mean, start)
    chart.step(values[200:300], learn=True)
    assert not np.array_equal(chart.mean, start)


def test_adapted_whole_it_is_the_model_of_the_newest_block():
    """With weight 1 mean and covariance are those of the last block."""
    chart = Chart(fit=100, explains=0.85, adapt=1.0, limit=1e9, smooth=1, width=4)
    values = correlated(300)
    chart.step(values, learn=True)
    np.testing.assert_allclose(chart.mean, values[200:].mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(chart.covariance, np.cov(values[200:].T, ddof=0), rtol=1e-9)


def test_frozen_the_moving_average_goes_on():
    values = framed(correlated(300))
    step = Pca(columns=NAMES, fit=100, smooth=9, learn=False)
    assert through(step, values, 7).equals(through(step, values))
