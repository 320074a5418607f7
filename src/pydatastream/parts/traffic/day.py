"""A labelled stretch of traffic: everyday life, with attacks in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from pydatastream.parts.traffic.everyday import everyday
from pydatastream.parts.traffic.making import ATTACKS, COLUMNS, GAP, START, attack, schedule


def traffic(
    seed: int = 0, rate: float = 40.0, start: float = START, types: Sequence[str] = tuple(ATTACKS)
) -> pl.DataFrame:
    """Records in the order of time: `rate` of calm a second, and an attack of each type.

    The same arguments give the same records.
    """
    random = np.random.default_rng(seed)
    attacks = schedule(random, tuple(types), start)
    last = attacks[-1] if attacks else None
    end = last.start + last.seconds + GAP if last else start + GAP
    parts = everyday(random, start, end - start, rate)
    parts += [attack(random, one) for one in attacks]
    rows = pl.concat([part for part in parts if part.height])
    return rows.filter(pl.col("timestamp") < end).sort("timestamp").select(COLUMNS)
