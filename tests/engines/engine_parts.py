"""Small components whose truth is known, for tests of the engine itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import polars as pl

from pydatastream.core.batch import Batch, Emission
from pydatastream.core.operator import EventTime, Flow, Kernel, Operator, RowOperator
from pydatastream.core.plan import Output, Plan, SourceNode, Step
from pydatastream.core.sink import Delivery, Sink, Write
from pydatastream.core.source import Read, Source
from pydatastream.core.state import State
from pydatastream.core.times import EVENT_TIME

RAW = pl.Schema({"id": pl.Int64, "ts": pl.Int64})
FLOW = Flow(pl.Schema({"id": pl.Int64, "ts": EVENT_TIME}), EventTime("ts"))


class RowsReader:
    def __init__(self, source: RowsSource, job: Read) -> None:
        self.source, self.job = source, job

    def __iter__(self) -> Iterator[Batch | None]:
        at = (self.job.resume or {"n": 0})["n"]
        end = (self.job.until or {"n": self.source.count})["n"]
        while at < end:
            upto = min(at + self.source.batch, end)
            ids = pl.int_range(at, upto, eager=True).alias("id")
            yield Batch(pl.DataFrame({"id": ids, "ts": ids * 1000}), {"n": upto})
            at = upto

    def commit(self, offset: Any) -> None: ...

    def close(self) -> None: ...


class RowsSource(Source):
    """Rows id = 0, 1, 2, ... one millisecond apart."""

    replayable: ClassVar[bool] = True
    count: int = 100
    batch: int = 10

    @property
    def bounded(self) -> bool:
        return True

    def partitions(self) -> list[str]:
        return ["all"]

    def open(self, partition: str, job: Read) -> RowsReader:
        return RowsReader(self, job)


class Double(RowOperator):
    """Refuses id 13 by failing on any batch that holds it."""

    def flow(self, *inputs: Flow) -> Flow:
        return inputs[0]

    def transform(self, rows: pl.LazyFrame, flow: Flow) -> pl.LazyFrame:
        unlucky = pl.when(pl.col("id") == 13).then(pl.lit("x")).otherwise(pl.lit("1"))
        return rows.with_columns(id=pl.col("id") * 2 * unlucky.cast(pl.Int64, strict=True))


class Odd(RowOperator):
    """Keeps odd ids."""

    def flow(self, *inputs: Flow) -> Flow:
        return inputs[0]

    def transform(self, rows: pl.LazyFrame, flow: Flow) -> pl.LazyFrame:
        return rows.filter(pl.col("id") % 2 == 1)


class TotalKernel(Kernel):
    def __init__(self, state: State, forget: bool) -> None:
        self.state, self.forget = state, forget

    def on_batch(self, rows: pl.DataFrame, port: int = 0) -> Emission:
        if not self.forget or rows["id"].min() != 0:
            self.state.append("rows", rows)
        return iter(())

    def on_watermark(self, watermark: int) -> Emission:
        rows = self.state.frame("rows")
        if watermark >= 2**62 and rows is not None:
            self.state.drop("rows")
            self.released += rows.height
            yield rows.select(total=pl.sum("id"))

    def held(self) -> int:
        return sum(one.height for one in self.state.frames("rows"))


class Total(Operator):
    """The sum of all ids, at the end; `forget` loses the first batch, as a defect would."""

    aggregates: ClassVar[bool] = True
    forget: bool = False

    def flow(self, *inputs: Flow) -> Flow:
        return Flow(pl.Schema({"total": pl.Int64}))

    def open(self, state: State, *inputs: Flow) -> TotalKernel:
        return TotalKernel(state, self.forget)


class KeepWriter:
    def __init__(self, store: dict[str, Any]) -> None:
        self.store, self.staged = store, []

    def begin(self, epoch: int) -> None:
        self.staged = []

    def write(self, rows: pl.DataFrame) -> None:
        self.staged.append(rows)

    def publish(self, epoch: int) -> None:
        self.store.setdefault("epochs", {})[epoch] = self.staged
        self.store["marker"] = epoch

    def published(self) -> int | None:
        return self.store.get("marker")

    def close(self) -> None: ...


class KeepSink(Sink):
    """Keeps rows by epoch in a store that outlives the run."""

    delivery: ClassVar[Delivery] = Delivery.EXACTLY_ONCE
    key: str = "out"
    stores: ClassVar[dict[str, dict[str, Any]]] = {}

    def open(self, job: Write) -> KeepWriter:
        return KeepWriter(self.stores.setdefault(self.key, {}))

    def rows(self) -> pl.DataFrame:
        epochs = self.stores[self.key].get("epochs", {})
        return pl.concat([one for epoch in sorted(epochs) for one in epochs[epoch]])


def plan_of(source: Source, *operators: Operator, sink: Sink | None = None) -> Plan:
    """A plan of one source, steps in a row and one output."""
    node = SourceNode("rows", source, RAW, FLOW)
    steps, before, flow = [], "rows", FLOW
    for at, operator in enumerate(operators):
        flow = operator.flow(flow)
        steps.append(Step(f"{operator.type_name()}_{at}", operator, (before,), flow))
        before = steps[-1].name
    return Plan("test", (node,), tuple(steps), (Output("out", sink or KeepSink(), before, flow),))
