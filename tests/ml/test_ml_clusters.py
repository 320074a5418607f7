import numpy as np
import polars as pl
import pytest
from ml_streams import framed, through

from pydatastream.ml.kmeans import Centres, KMeans
from pydatastream.ml.micro_clusters import MicroClusters

PLACES = np.array([[0, 0], [10, 0], [0, 10]])


def blobs(height, seed=0):
    chance = np.random.default_rng(seed)
    kind = chance.integers(0, 3, height)
    return PLACES[kind] + chance.normal(size=(height, 2)), kind


def rings(height, seed=0):
    """Two rings, one around the other, and a few rows in between."""
    chance = np.random.default_rng(seed)
    kind = chance.choice(3, height, p=[0.49, 0.49, 0.02])
    radius = np.array([1.0, 3.0, 2.0])[kind] + 0.05 * chance.normal(size=height)
    angle = chance.uniform(0, 2 * np.pi, height)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), kind


KMEANS = KMeans(columns=["a", "b"], clusters=3, window=200)
RINGS = MicroClusters(columns=["a", "b"], radius=0.35, share=0.03, window=500, half_life=500)


def test_centres_are_those_of_scikit_learn():
    cluster = pytest.importorskip("sklearn.cluster", reason="it is compared with")
    values, kind = blobs(3000)
    model = Centres(3, 200, 0.0, 0, 2)
    found = model.step(values, learn=True)
    ours = model.centres * model.scale[1] + model.scale[0]
    theirs = cluster.KMeans(3, n_init=4, random_state=0).fit(values).cluster_centers_
    np.testing.assert_allclose(sorted(ours.tolist()), sorted(theirs.tolist()), atol=0.05)
    said = pl.DataFrame({"kind": kind, "cluster": found["cluster"]})[200:]
    assert said.group_by("kind").agg(pl.col("cluster").n_unique())["cluster"].to_list() == [1] * 3


def test_a_score_counts_usual_distances():
    values, _ = blobs(2000)
    values[1500] = [5, 5]
    found = through(KMEANS, framed(values))["score"]
    assert (found[200:] ** 2).mean() == pytest.approx(1, abs=0.1)
    assert found[1500] > 3


def test_what_belongs_is_kept_or_dropped_or_labelled():
    values, _ = blobs(1000)
    values[300::50] = [60, 60]
    label, keep, drop = (
        through(KMEANS.model_copy(update={"rows": rows}), framed(values)).drop("version")
        for rows in ("label", "keep", "drop")
    )
    odd = pl.col("score") > 3
    assert keep.equals(label.filter(~odd.fill_null(False)))
    assert drop.equals(label.filter(odd.fill_null(True)))
    assert drop.height == 200 + 14


def test_newer_rows_may_count_more():
    values, _ = blobs(4000)
    values[2000:] += 3
    for forget, near in ((0.0, False), (0.5, True)):
        model = Centres(3, 200, forget, 0, 2)
        model.step(values, learn=True)
        centres = np.sort(model.centres * model.scale[1] + model.scale[0], axis=0)
        assert np.allclose(centres, np.sort(PLACES + 3, axis=0), atol=0.3) is near


def test_regions_of_any_shape_are_told_apart():
    values, kind = rings(6000)
    found = through(RINGS, framed(values, kind=kind))[3000:]
    inside = found.filter(pl.col("score") <= 1, pl.col("kind") < 2)
    assert inside.height > 0.95 * found.filter(pl.col("kind") < 2).height
    named = inside.group_by("kind").agg(pl.col("cluster").mode().first().alias("name"))
    assert named["name"].n_unique() == 2
    agree = inside.join(named, on="kind").select((pl.col("cluster") == pl.col("name")).mean())
    assert agree.item() > 0.98
    assert found.filter(pl.col("kind") == 2)["score"].median() > 1


def test_a_region_that_gets_no_more_rows_is_forgotten():
    values, _ = blobs(4000)
    values[1000:] = values[1000:] * 0.01
    step = MicroClusters(columns=["a", "b"], radius=0.5, window=200, half_life=200)
    last = framed(np.vstack([values, PLACES]))
    found = through(step, last)["score"][-3:]
    assert found[0] < 1
    assert found[1] > 1
    assert found[2] > 1


def test_more_rows_alone_than_there_is_place_for():
    chance = np.random.default_rng(0)
    step = MicroClusters(columns=["a", "b"], radius=0.01, window=100, most=10)
    found = through(step, framed(chance.normal(size=(500, 2))))
    assert found.height == 500
