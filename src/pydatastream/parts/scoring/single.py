"""A detector by itself, outside of any pipeline, with the verbs of River."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from pydatastream.core.operator import EventTime, Flow
from pydatastream.core.state import State

if TYPE_CHECKING:
    from pydatastream.parts.scoring.detector import Detector

PREDICTED = ("predicted", "cluster")
"""The columns that say more than a score, the first that a detector has."""


class OneByOne:
    """A detector that takes one row at a time, as a dict of features. Slow: some 1 ms a row.

    It learns and scores as the step does on a stream; `many` is the fast way.
    """

    def __init__(self, detector: Detector, time: str | None = None) -> None:
        self.detector, self.state = detector, State()
        self._time = EventTime(time) if time else None

    def learn_one(self, x: Mapping[str, Any], y: Any = None) -> None:
        """Learn from a row, and from what was to be predicted, if that is known."""
        self._told(self.detector, self.state, self._row(x, y))

    def score_one(self, x: Mapping[str, Any], y: Any = None) -> float:
        """How odd the row is; 0 while nothing is known. Nothing is learnt."""
        return float(self._asked(x, y)["score"].fill_null(0.0).item())

    def predict_one(self, x: Mapping[str, Any]) -> Any:
        """What is predicted, or the number of the cluster; None while nothing is known."""
        found = self._asked(x, None)
        return next((found[name].item() for name in PREDICTED if name in found), None)

    def many(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows with their scores, each by those before it; then they are learnt from."""
        return self._told(self.detector, self.state, rows)

    def _asked(self, x: Mapping[str, Any], y: Any) -> pl.DataFrame:
        frozen = self.detector.model_copy(update={"learn": False, "prefix": ""})
        return self._told(frozen, State(self.state.snapshot()), self._row(x, y))

    def _told(self, detector: Detector, state: State, rows: pl.DataFrame) -> pl.DataFrame:
        flow = Flow(rows.schema, self._time)
        detector.flow(flow)
        out = detector.open(state, flow).on_batch(rows)
        return pl.concat(one for one in out if isinstance(one, pl.DataFrame))

    def _row(self, x: Mapping[str, Any], y: Any) -> pl.DataFrame:
        target = getattr(self.detector, "target", None)
        given = {**x, target: y} if target else dict(x)
        row = pl.DataFrame([given])
        flow = Flow(row.schema, self._time)
        numbers = [name for name in self.detector.number_columns(flow) if name in given]
        return row.with_columns(pl.col(numbers).cast(pl.Float64))
