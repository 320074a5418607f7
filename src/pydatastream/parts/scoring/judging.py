"""Detectors at work on frames in memory, and how good their scores are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from pydatastream.core.batch import Emission
from pydatastream.core.operator import Flow, Kernel, Operator, RowOperator
from pydatastream.core.state import State

BATCH = 1 << 17
"""Rows in a batch."""


def judged(
    steps: Sequence[Operator], rows: pl.DataFrame, given: Flow, batch: int = BATCH
) -> pl.DataFrame:
    """What steps make of rows, in batches as on a stream.

    Only what comes out at once is given, by the main output.
    """
    flows = [given]
    for step in steps:
        flows.append(step.flow(flows[-1]))
    kernels = [_opened(step, flow) for step, flow in zip(steps, flows, strict=False)]
    found = [flows[-1].schema.to_frame()]
    for piece in rows.iter_slices(batch):
        frames = [piece]
        for kernel in kernels:
            out = [one for frame in frames for one in kernel.on_batch(frame)]
            frames = [one for one in out if isinstance(one, pl.DataFrame)]
        found += frames
    return pl.concat(found)


def _opened(step: Operator, given: Flow) -> Kernel:
    return _Rows(step, given) if isinstance(step, RowOperator) else step.open(State(), given)


class _Rows(Kernel):
    def __init__(self, step: RowOperator, given: Flow) -> None:
        self._query = step.query(given)

    def on_batch(self, rows: pl.DataFrame, port: int = 0) -> Emission:  # noqa: ARG002
        yield self._query(rows.lazy()).collect()


def roc_auc(labels: pl.Series, scores: pl.Series) -> float:
    """The chance that an odd row has a higher score than a usual one; a tie counts half.

    Rows without a score count as the most usual. NaN if all rows are of one kind.
    """
    odd = labels.cast(pl.Boolean).to_numpy()
    ranks = scores.fill_null(-np.inf).rank("average").to_numpy()
    count, others = int(odd.sum()), int((~odd).sum())
    if not count or not others:
        return float("nan")
    return float((ranks[odd].sum() - count * (count + 1) / 2) / (count * others))
