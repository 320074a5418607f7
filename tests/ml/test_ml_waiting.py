import polars as pl
import pytest
from ml_streams import NAMES, correlated, framed

from pydatastream.core.operator import Flow
from pydatastream.core.state import State
from pydatastream.ml.half_space_trees import HalfSpaceTrees
from pydatastream.ml.pca import Pca

STEPS = [
    HalfSpaceTrees(columns=NAMES, by=["key"], window=50),
    Pca(columns=NAMES, by=["key"], fit=50),
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.type_name())
def test_young_keys_cost_no_more_than_their_rows(step):
    rows, state = framed(correlated(20_000)), State()
    rows = rows.with_columns(key=pl.int_range(pl.len()) // 2)
    for batch in rows.iter_slices(4000):
        (found,) = step.open(state, Flow(rows.schema)).on_batch(batch)
        assert found["score"].null_count() == batch.height
    assert state.names() == ["waiting", "keys"]
    assert state.nbytes() < 20_000 * 8 * 7


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.type_name())
def test_a_key_among_others_is_scored_as_if_alone(step):
    """Keys of very different age, in batches where some come of age."""
    rows = framed(correlated(3000)).with_columns(
        key=pl.when(pl.int_range(pl.len()) % 10 < 6).then(0).otherwise(pl.int_range(pl.len()) % 97)
    )
    state, out = State(), []
    for batch in rows.iter_slices(130):
        state = State(state.snapshot())
        out += step.open(state, Flow(rows.schema)).on_batch(batch)
    found = pl.concat(out)
    for key in (0, 7, 96):
        alone = rows.filter(key=key)
        (expected,) = step.open(State(), Flow(rows.schema)).on_batch(alone)
        assert found.filter(key=key).equals(expected)
    assert found["score"].is_not_null().any()
