"""A million keys: what is remembered is bounded, and what is at work is not forgotten."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from pydatastream.core.operator import Flow
from pydatastream.core.state import State
from pydatastream.ml.adwin import Adwin
from pydatastream.ml.ewma import Ewma
from pydatastream.ml.half_space_trees import HalfSpaceTrees
from pydatastream.ml.holt_winters import HoltWinters
from pydatastream.parts.scoring.judging import judged
from pydatastream.pipeline import Pipeline

ROWS, ACTIVE, MOST = 1_000_000, 50, 100_000
STEPS = [
    Ewma(column="x", by=["key"], max_keys=MOST),
    HalfSpaceTrees(columns=["x", "y"], by=["key"], trees=5, depth=4, max_keys=MOST),
]


@pytest.fixture(scope="module")
def flood():
    """Every twentieth row is of a key that comes again; the others come once."""
    chance, at = np.random.default_rng(3), np.arange(ROWS)
    key = np.where(at % 20 == 0, at // 20 % ACTIVE, at + ACTIVE)
    return pl.DataFrame({"key": key, "x": chance.normal(size=ROWS), "y": chance.normal(size=ROWS)})


def through(step, rows):
    """The rows of the active keys, the most bytes that were held, and the keys forgotten."""
    state, found, held = State(), [], []
    kernel = step.open(state, Flow(rows.schema))
    for batch in rows.iter_slices(1 << 17):
        found += [one.filter(pl.col("key") < ACTIVE) for one in kernel.on_batch(batch)]
        held.append(state.nbytes())
    return pl.concat(found), max(held), kernel.forgotten


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.type_name())
def test_a_million_keys_cost_no_more_than_those_remembered(step, flood):
    found, held, forgotten = through(step, flood)
    alone, _, none = through(step, flood.filter(pl.col("key") < ACTIVE))
    assert found.equals(alone)
    assert found["score"].null_count() < found.height
    assert (none, forgotten) == (0, ROWS * 19 // 20 + ACTIVE - MOST)
    assert held < 300 * MOST


def test_a_run_says_how_many_keys_were_forgotten():
    rows = [{"key": at, "x": 1.0} for at in range(100)]
    steps = Pipeline("many").read("memory", rows=rows).ewma("x", by=["key"], max_keys=10)
    assert steps.write("null").run().forgotten == 90


@pytest.mark.parametrize(
    "step",
    [Adwin(column="x", by=["key"], every=4), HoltWinters(column="x", by=["key"], season=5)],
    ids=lambda step: step.type_name(),
)
def test_side_by_side_each_key_is_as_alone(step):
    chance = np.random.default_rng(9)
    key = np.minimum(chance.geometric(0.02, 5000), 150)  # some with hundreds of rows, some with few
    values = chance.normal(size=5000) + 9 * (np.arange(5000) > 2500)
    rows = pl.DataFrame({"key": key, "x": values})
    whole = judged([step], rows, Flow(rows.schema), batch=1777)
    for one in range(1, 151):
        mine = rows.filter(key=one)
        assert judged([step], mine, Flow(rows.schema)).equals(whole.filter(key=one))
