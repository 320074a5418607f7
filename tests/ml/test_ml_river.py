import numpy as np
import polars as pl
import pytest
from ml_streams import NAMES, correlated, framed, through

from pydatastream.core.batch import Refused
from pydatastream.core.errors import ConfigError
from pydatastream.core.operator import Flow
from pydatastream.core.state import State
from pydatastream.engines.local.guard import guarded
from pydatastream.ml.river import River, Served

anomaly = pytest.importorskip("river.anomaly", reason="River's models are run")

TREES = "preprocessing.MinMaxScaler | anomaly.HalfSpaceTrees(n_trees=3, window_size=50, seed=4)"
REGRESSION = "preprocessing.StandardScaler | linear_model.LinearRegression"


def test_a_score_is_the_models_own():
    preprocessing = pytest.importorskip("river.preprocessing")
    values = correlated(200)
    found = through(River(model=TREES, columns=NAMES), framed(values))["score"]
    model = preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(n_trees=3, window_size=50, seed=4)
    theirs = []
    for row in framed(values).iter_rows(named=True):
        theirs.append(model.score_one(row))
        model.learn_one(row)
    assert found[1:].to_list() == theirs[1:]
    assert found[0] is None


def test_a_regressor_predicts_a_column():
    rows = framed(correlated(600)).with_columns(y=2 * pl.col("a") - pl.col("b") + 3)
    found = through(River(model=REGRESSION, columns=NAMES, target="y"), rows)[400:]
    assert found["score"].median() < 0.5
    assert found["score"].equals((found["predicted"] - found["y"]).abs().alias("score"))


def test_a_classifier_takes_text_and_gives_a_probability():
    chance = np.random.default_rng(0)
    kind = chance.choice(["x", "y"], 600)
    rows = pl.DataFrame({"kind": kind, "odd": (kind == "x") ^ (chance.random(600) < 0.1)})
    model = "preprocessing.OneHotEncoder | linear_model.LogisticRegression"
    found = through(River(model=model, columns="kind", target="odd"), rows)[300:]
    assert ((found["score"] > 0.5) == (found["kind"] == "x")).all()
    assert found["predicted"].equals((found["score"] > 0.5).cast(pl.Float64).alias("predicted"))


def test_a_model_of_pysad_runs():
    pytest.importorskip("pysad.models", reason="PySAD's models are run")
    values = correlated(300)
    values[250] += 20
    found = through(River(model="pysad.models.LODA", columns=NAMES), framed(values))["score"]
    assert found.null_count() == 1
    step = River(model="pysad.models.StandardAbsoluteDeviation", columns=["a"])
    found = through(step, framed(values))["score"]
    assert found[10:].arg_max() == 240


def test_what_it_remembers_is_bounded_and_makes_the_same_models_again():
    step, rows, state = (
        River(model=TREES, columns=NAMES, memory=40),
        framed(correlated(500)),
        State(),
    )
    whole, heights = through(step, rows), []
    for at, batch in enumerate(rows.iter_slices(17)):
        again = State(state.snapshot())
        (found,) = step.open(again, Flow(rows.schema)).on_batch(batch)
        assert found.equals(whole[17 * at : 17 * at + found.height])
        state = again
        heights.append(sum(one.height for one in state.frames("rows")))
    assert max(heights) <= 2 * 40 + 17


def test_a_row_that_fails_leaves_the_models_as_they_were(monkeypatch):
    rows, learn = framed(correlated(100)), Served.learn

    def fail_after_learning(self, features, target):
        learn(self, features, target)
        if features["a"] == rows["a"][50]:
            raise ValueError("not this one")

    monkeypatch.setattr(Served, "learn", fail_after_learning)
    step = River(model=TREES, columns=NAMES)
    out = guarded(step.open(State(), Flow(rows.schema)).on_batch, rows)
    (refused,) = (one for one in out if isinstance(one, Refused))
    assert refused.rows.equals(rows[50:51])
    assert "ValueError: not this one" in refused.error
    found = pl.concat([one for one in out if isinstance(one, pl.DataFrame)])
    assert found.equals(through(step, pl.concat([rows[:50], rows[51:]])))


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("anomaly.NoSuch", "no model of River"),
        ("nothing.LODA", "cannot be loaded"),
        ("os.system", "cannot be loaded"),
        ("pysad.models.np.memmap", "cannot be loaded"),
        ("anomaly.LODA(", "cannot be read"),
        ("anomaly.HalfSpaceTrees(trees=3)", "unexpected keyword"),
        ("anomaly.HalfSpaceTrees(n_trees=open('x'))", "no model of River"),
        ("preprocessing.StandardScaler", "neither scores nor predicts"),
    ],
)
def test_what_is_no_model_is_refused(model, why):
    with pytest.raises(ConfigError, match=why):
        River(model=model, columns="a").check()
