import polars as pl
from ml_streams import NAMES, correlated, framed, through

from pydatastream.ml.ewma import Ewma
from pydatastream.ml.half_space_trees import HalfSpaceTrees
from pydatastream.ml.kmeans import KMeans
from pydatastream.ml.linear_regression import LinearRegression


def test_rows_one_by_one_are_scored_as_in_a_stream():
    rows = framed(correlated(60))
    for step in (
        HalfSpaceTrees(columns=NAMES, window=20, trees=4, depth=3),
        Ewma(column="a", warmup=5),
    ):
        model, found = step.one_by_one(), []
        for row in rows.iter_rows(named=True):
            assert model.score_one(row) == model.score_one(row)
            found.append(model.score_one(row))
            model.learn_one(row)
        assert found == through(step, rows)["score"].fill_null(0.0).to_list()


def test_what_is_predicted_is_learnt_afterwards():
    rows = framed(correlated(300)).with_columns(y=3 * pl.col("a") + 1)
    model = LinearRegression(target="y", columns=NAMES, block=10).one_by_one()
    assert model.predict_one(rows.drop("y").row(0, named=True)) is not None
    model.many(rows[:290])
    for row in rows[290:].iter_rows(named=True):
        y = row.pop("y")
        assert abs(model.predict_one(row) - y) < 1
        assert model.score_one(row, y) >= 0
        model.learn_one(row, y)


def test_the_cluster_is_what_is_predicted():
    rows = framed(correlated(60))
    model = KMeans(columns=NAMES, clusters=2, window=50).one_by_one()
    first = rows.row(0, named=True)
    assert model.predict_one(first) is None
    model.many(rows)
    assert model.predict_one(first) in (0, 1)
