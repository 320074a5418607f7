"""Ways to run one operator: whole, in pieces, with a clock."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime

import polars as pl
import pytest

from pydatastream.core.batch import CLOCK, Refused, Routed
from pydatastream.core.operator import EventTime, Flow, Operator, RowOperator
from pydatastream.core.state import State
from pydatastream.core.times import EVENT_TIME

MAIN, DEAD = "main", "dead"


class Bench:
    """Runs operators as the engine does, with a snapshot and a restart between batches."""

    flow = Flow(
        pl.Schema(
            {
                "device_id": pl.String,
                "ts": EVENT_TIME,
                "temperature": pl.Float64,
                "status": pl.String,
                "tags": pl.List(pl.String),
                "n": pl.Int64,
            }
        ),
        EventTime("ts"),
    )

    def rows(self, *rows, **columns) -> pl.DataFrame:
        """Rows of the sample schema; columns not given are null, `ts` is in seconds."""
        height = len(next(iter(columns.values())))
        data = {name: columns.get(name, [None] * height) for name in self.flow.schema}
        data["ts"] = [
            None if moment is None else datetime.fromtimestamp(moment, UTC)
            for moment in columns.get("ts", range(height))
        ]
        return pl.DataFrame(data, schema=self.flow.schema)

    def run(self, step: Operator, *batches, flows=None, restart=True) -> dict[str, pl.DataFrame]:
        """Everything that comes out, by port; a batch may be an int, a watermark in seconds."""
        flows = flows or (self.flow,)
        out = defaultdict(list)
        state = State()
        kernel = self.open(step, state, flows)
        for batch in batches:
            if restart:
                state = State(state.snapshot())
                kernel = self.open(step, state, flows)
            if isinstance(batch, int):
                self._sort(kernel.on_watermark(batch * 10**6), out)
            else:
                port, rows = batch if isinstance(batch, tuple) else (0, batch)
                before = rows.clone()
                self._sort(kernel.on_batch(rows, port), out)
                assert rows.equals(before), "the input was changed"
        return {port: pl.concat(frames) for port, frames in out.items()}

    def open(self, step, state, flows):
        return _Rows(step, flows[0]) if isinstance(step, RowOperator) else step.open(state, *flows)

    def _sort(self, emission, out):
        for one in emission:
            if isinstance(one, Routed):
                out[one.port].append(one.rows)
            elif isinstance(one, Refused):
                out[DEAD].append(one.rows.with_columns(error=pl.lit(one.error)))
            else:
                out[MAIN].append(one)

    def cut(self, rows: pl.DataFrame, sizes) -> list[pl.DataFrame]:
        """The rows in pieces of these sizes, and the rest."""
        pieces, start = [], 0
        for size in sizes:
            pieces.append(rows[start : start + size])
            start += size
        return [piece for piece in [*pieces, rows[start:]] if piece.height]

    def clocked(self, rows: pl.DataFrame) -> pl.DataFrame:
        """With the clock each row would have if it were alone in its batch."""
        micros = pl.col("ts").to_physical()
        clock = micros.cum_max().shift(1).forward_fill()
        return rows.with_columns(clock.fill_null(-(2**62)).alias(CLOCK))


class _Rows:
    def __init__(self, step: RowOperator, flow: Flow) -> None:
        self._query = step.query(flow)

    def on_batch(self, rows, port=0):
        yield self._query(rows.lazy()).collect()


@pytest.fixture(scope="session")
def bench():
    return Bench()
