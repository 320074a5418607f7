"""Memory: the rows are those that were given."""

from __future__ import annotations

import polars as pl
from contract_truth import SinkTruth, SourceTruth

from pydatastream.connectors.memory import MemorySink, MemorySource


class Given(SourceTruth):
    killed = False

    def seed(self, rows: pl.DataFrame) -> pl.DataFrame:
        self.rows = rows
        return rows

    def source(self) -> MemorySource:
        return MemorySource.model_validate({"rows": self.rows})


class Parts(Given):
    def source(self) -> MemorySource:
        odd = pl.col("id") % 2 == 1
        parts = {"even": self.rows.filter(~odd), "odd": self.rows.filter(odd)}
        return MemorySource.model_validate({"rows": parts})


class Kept(SinkTruth):
    killed = False

    def sink(self) -> MemorySink:
        return MemorySink(key=str(self.place))

    def visible(self, schema: pl.Schema) -> pl.DataFrame:
        kept = MemorySink.stores.get(str(self.place))
        frames = [frame for one in kept.frames.values() for frame in one] if kept else []
        return pl.concat([pl.DataFrame(schema=schema), *frames])

    def lose(self) -> None:
        self.sink().forget()

    def close(self) -> None:
        self.lose()


SOURCES = [Given, Parts]
SINKS = [Kept]
