import numpy as np
from ml_streams import NAMES, correlated, framed, through

from pydatastream.ml.loda import Histograms, Loda, sparse_mixtures


def test_mixtures_are_sparse_and_fixed_by_the_seed():
    mixtures = sparse_mixtures(9, 50, seed=3)
    assert ((mixtures != 0).sum(axis=0) == 3).all()
    assert np.array_equal(mixtures, sparse_mixtures(9, 50, seed=3))
    assert (sparse_mixtures(1, 5, seed=0) != 0).all()


def test_a_score_is_the_mean_surprise_of_the_histograms():
    values, mixtures = correlated(300), sparse_mixtures(4, 6, seed=0)
    step = Loda(columns=NAMES, projections=6, bins=10, window=100)
    first = values[:100]
    scaled = ((values - first.mean(axis=0)) / first.std(axis=0)) @ mixtures
    for start in (100, 200):
        surprise = 0.0
        for column in scaled.T:
            edges = np.linspace(column[:100].min(), column[:100].max(), 11)
            edges = np.array([-np.inf, *edges[:-1], np.nextafter(edges[-1], -np.inf), np.inf])
            counts, _ = np.histogram(column[:start], edges)
            place = np.searchsorted(edges, column[start : start + 100], "right") - 1
            surprise = surprise - np.log((counts[place] + 1) / (start + 12))
        found = through(step, framed(values))["score"][start : start + 100]
        np.testing.assert_allclose(found, surprise / 6, rtol=1e-9)


def test_the_cause_is_the_column_that_went_astray():
    values, step = correlated(400), Loda(columns=NAMES, window=100)
    usual = through(step, framed(values))["score"]
    for number, name in enumerate(NAMES):
        odd = values.copy()
        odd[300:, number] += 30
        found = through(step, framed(odd))[300:]
        assert found["score"].min() > usual.median()
        assert found["cause"].mode()[0] == name


def test_what_is_forgotten_no_longer_counts():
    model = Histograms(sparse_mixtures(4, 5, 0), bins=8, window=50, forget=0.5, width=4)
    model.step(correlated(150), learn=True)
    assert model.count.reshape(5, 10).sum(axis=1).tolist() == [50 + 25 + 12.5] * 5
