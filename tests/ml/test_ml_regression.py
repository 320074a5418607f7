import numpy as np
import polars as pl
import pytest
from ml_streams import NAMES, correlated, framed, through
from pydantic import ValidationError

from pydatastream.ml.linear_regression import LinearRegression
from pydatastream.ml.logistic_regression import LogisticRegression
from pydatastream.parts.scoring.judging import roc_auc


def labelled(height, seed=1):
    """Rows whose label depends on two numbers and on a name."""
    chance, values = np.random.default_rng(seed), correlated(height, seed)
    kind = chance.choice(["tcp", "udp", "icmp"], height)
    raw = 3 * values[:, 0] - 3 * values[:, 1] + np.where(kind == "udp", 6, -2)
    return framed(values, kind=kind, odd=raw + chance.logistic(size=height) > 0)


def linear(height, noise=0.5, seed=1):
    chance = np.random.default_rng(seed)
    values = chance.normal(size=(height, 4)) * [1, 10, 0.1, 1] + [0, 100, 0, 5]
    y = values @ [3, -0.5, 20, 0] + 7 + noise * chance.normal(size=height)
    return framed(values, y=y)


LOGISTIC = LogisticRegression(target="odd", columns=NAMES, categories=["kind"])
LINEAR = LinearRegression(target="y", columns=NAMES)


def test_linear_regression_comes_near_to_least_squares():
    models = pytest.importorskip("sklearn.linear_model", reason="it is compared with")
    rows = linear(20_000)
    found = through(LINEAR, rows)[-2000:]
    x, y = rows.select(NAMES).to_numpy(), rows["y"].to_numpy()
    best = models.LinearRegression().fit(x, y).predict(x)[-2000:]
    ours = np.sqrt(np.mean((found["predicted"].to_numpy() - y[-2000:]) ** 2))
    assert ours < 1.05 * np.sqrt(np.mean((best - y[-2000:]) ** 2))


def test_logistic_regression_predicts_as_well_as_river():
    models = pytest.importorskip("river.linear_model", reason="River is compared with")
    preprocessing = pytest.importorskip("river.preprocessing")
    rows = labelled(4000)
    found = through(LOGISTIC, rows)
    model, theirs = preprocessing.StandardScaler() | models.LogisticRegression(), []
    one_hot = rows.select(*NAMES, "kind", "odd").to_dummies("kind")
    for row in one_hot.iter_rows(named=True):
        odd = row.pop("odd")
        theirs.append(bool(model.predict_one(row)))
        model.learn_one(row, odd)
    ours = (found["predicted"] == rows["odd"]).mean()
    assert ours > 0.85
    assert ours > (pl.Series(theirs) == rows["odd"]).mean() - 0.02
    assert roc_auc(rows["odd"], found["score"]) > 0.9


def test_names_count():
    rows = labelled(3000)
    without = LogisticRegression(target="odd", columns=NAMES)
    scores = [roc_auc(rows["odd"], through(step, rows)["score"]) for step in (LOGISTIC, without)]
    assert scores[0] > scores[1] + 0.02


@pytest.mark.parametrize(("step", "rows"), [(LOGISTIC, labelled(900)), (LINEAR, linear(900))])
def test_a_row_is_predicted_before_it_is_learnt_from(step, rows):
    target = rows[step.target]
    block = rows.with_row_index()["index"] // step.block
    other = rows.with_columns(target.set(block == 3, None).alias(step.target))
    usual, unknown = through(step, rows), through(step, other)
    until = 4 * step.block
    assert usual["predicted"][:until].equals(unknown["predicted"][:until])
    assert not usual["predicted"][until:].equals(unknown["predicted"][until:])
    assert unknown["predicted"].null_count() == 0


def test_one_wild_target_does_not_undo_what_was_learnt():
    rows = linear(4000)
    wild = rows.with_columns(rows["y"].scatter(3000, 1e6))
    error = (through(LINEAR, wild)["predicted"] - rows["y"]).abs()
    assert error[3200:].median() < 5 * error[2000:3000].median()


def test_counts_without_bound_are_tamed():
    chance = np.random.default_rng(2)
    size = chance.pareto(0.7, 4000) * 10
    rows = pl.DataFrame({"size": size, "odd": np.log1p(size) + chance.normal(size=4000) > 3.5})
    plain, tamed = (
        LogisticRegression(target="odd", columns=["size"], log=log) for log in (False, True)
    )
    right = [(through(one, rows)["predicted"] == rows["odd"]).mean() for one in (plain, tamed)]
    assert right[1] > right[0]


def test_what_cannot_be_predicted_is_refused_at_once():
    with pytest.raises(ValidationError, match="from itself"):
        LogisticRegression(target="a", columns=["a"])
    with pytest.raises(ValidationError, match="to predict from"):
        LogisticRegression(target="a")
