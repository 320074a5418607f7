"""Counts by a sketch: never too small, and too large by no more than was promised."""

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from pydatastream.core.errors import SchemaError
from pydatastream.core.flow import Flow
from pydatastream.core.state import State
from pydatastream.operators.frequency import Frequency
from pydatastream.pipeline import Pipeline


def counted(rows, **options):
    return Pipeline.read("memory", rows=rows).frequency(**options).collect()


def test_few_keys_are_counted_exactly():
    rows = pl.DataFrame({"k": ["a", "b", "a", None, "a", None]})
    assert counted(rows, by="k")["frequency"].to_list() == [1, 1, 2, 1, 3, 2]


def test_the_error_is_as_promised():
    """true <= estimate, and estimate <= true + error * n but for a share of `risk`."""
    chance = np.random.default_rng(1)
    rows = pl.DataFrame({"k": chance.zipf(1.1, 60_000) % 20_000})
    made = counted(rows, by="k", error=0.001, risk=0.02)
    truth = rows.select(pl.int_range(1, pl.len() + 1).over("k")).to_series()
    over = made["frequency"] - truth
    assert over.min() >= 0
    far = over > 0.001 * np.arange(1, rows.height + 1)
    assert far.mean() <= 0.02
    assert over.max() > 0  # it was a sketch that was tried


def test_the_state_does_not_grow_with_the_keys():
    step, state = Frequency(by=["k"], error=0.01, risk=0.1), State()
    kernel = step.open(state, Flow(pl.Schema({"k": pl.Int64})))
    for start in range(0, 100_000, 20_000):
        list(kernel.on_batch(pl.DataFrame({"k": range(start, start + 20_000)})))
    assert state.frame("cells").height <= 272 * 3


def test_a_column_that_is_there_is_not_overwritten():
    with pytest.raises(SchemaError, match="already"):
        counted(pl.DataFrame({"k": [1], "frequency": [2]}), by="k")
    with pytest.raises(ValidationError):
        Frequency(by=["k"], error=0)
