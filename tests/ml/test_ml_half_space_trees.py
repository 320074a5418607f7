import numpy as np
import polars as pl
import pytest
from ml_streams import NAMES, correlated, framed, through

from pydatastream.ml.half_space_trees import PADDING, SPARSE, HalfSpaceTrees, Trees
from pydatastream.parts.scoring.judging import roc_auc


def walked(trees, tree, row):
    """The nodes on the way of a row through one tree, by level."""
    node, nodes = tree, [tree]
    for features, thresholds in zip(trees.features, trees.thresholds, strict=True):
        node = 2 * node + int(row[features[node]] >= thresholds[node])
        nodes.append(node)
    return nodes


def row_by_row(values, trees, window):
    """The sum of masses that the paper's algorithm gives, one row and one tree at a time."""
    low, high, now, before = np.full(4, np.inf), np.full(4, -np.inf), {}, {}
    for number, row in enumerate(values):
        low, high = np.minimum(low, row), np.maximum(high, row)
        scaled = np.divide(row - low, high - low, out=np.zeros(4), where=high > low)
        total = 0.0
        for tree in range(trees.count):
            ways = list(enumerate(walked(trees, tree, scaled)))
            for place in ways:
                now[place] = now.get(place, 0) + 1
            for place in ways:
                total += before.get(place, 0) * 2 ** place[0]
                if before.get(place, 0) < SPARSE * window:
                    break
        yield total
        if (number + 1) % window == 0:
            before, now = now, {}


def test_it_is_the_algorithm_of_the_paper():
    values = correlated(330)
    found = through(HalfSpaceTrees(columns=NAMES, trees=3, depth=4, window=60), framed(values))
    trees = Trees.random(3, 4, 4, seed=0)
    totals = np.array(list(row_by_row(values, trees, 60)))
    expected = 1 - np.log1p(totals) / np.log1p(3 * 60 * (2**5 - 1))
    assert found["score"][:60].null_count() == 60
    np.testing.assert_allclose(found["score"][60:], expected[60:], rtol=1e-12)


def test_splits_lie_within_their_range():
    trees = Trees.random(20, 6, 3, seed=5)
    first, thresholds = trees.features[0], trees.thresholds[0]
    assert set(first.tolist()) == {0, 1, 2}
    assert ((thresholds >= PADDING) & (thresholds <= 1 - PADDING)).all()
    again = trees.features[1][::2] == first  # the left child splits the same feature
    assert (trees.thresholds[1][::2][again] < thresholds[again]).all()


def test_it_finds_what_river_finds():
    anomaly = pytest.importorskip("river.anomaly", reason="River is compared with")
    preprocessing = pytest.importorskip("river.preprocessing")
    chance = np.random.default_rng(3)
    values, odd = correlated(2000, seed=3), chance.random(2000) < 0.03
    values[odd] += chance.choice([-4, 4], size=(int(odd.sum()), 4))
    ours = through(HalfSpaceTrees(columns=NAMES), framed(values, odd=odd))
    scaler = preprocessing.MinMaxScaler()
    trees = anomaly.HalfSpaceTrees(n_trees=25, seed=1)
    theirs = []
    for row in values.tolist():
        scaler.learn_one(dict(enumerate(row)))
        given = scaler.transform_one(dict(enumerate(row)))
        theirs.append(trees.score_one(given))
        trees.learn_one(given)
    after = slice(250, None)
    reached = roc_auc(ours["odd"][after], ours["score"][after])
    assert reached > 0.95
    assert reached > roc_auc(ours["odd"][after], pl.Series(theirs, dtype=pl.Float64)[after]) - 0.02
