"""Short streams of numbers, and what a step makes of them."""

from __future__ import annotations

import numpy as np
import polars as pl

from pydatastream.core.operator import Flow
from pydatastream.parts.scoring.judging import judged

NAMES = ["a", "b", "c", "d"]


def correlated(height, seed=0, width=4):
    """Rows that vary in two ways only, but for a little noise."""
    chance = np.random.default_rng(seed)
    mix = np.random.default_rng(7).normal(size=(2, width))
    return chance.normal(size=(height, 2)) @ mix + 0.1 * chance.normal(size=(height, width))


def framed(values, **more):
    return pl.DataFrame(np.asarray(values), schema=NAMES[: values.shape[1]]).with_columns(
        pl.Series(name, column) for name, column in more.items()
    )


def through(step, rows, batch=1 << 17):
    return judged([step], rows, Flow(rows.schema), batch)
