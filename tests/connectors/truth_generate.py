"""Generated rows, worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
from contract_truth import SourceTruth

from pydatastream.connectors.generate import GenerateSource

START = datetime(2020, 1, 1, tzinfo=UTC)


class Counted(SourceTruth):
    killed = False
    longest = 2

    def seed(self, rows: pl.DataFrame) -> pl.DataFrame:
        self.count = rows.height
        made = [(i, START + timedelta(seconds=i), f"d{i % 3}", i / 2) for i in range(self.count)]
        return pl.DataFrame(made, orient="row", schema=self.types())

    def types(self) -> dict[str, pl.DataType]:
        moment = pl.Datetime("us", "UTC")
        return {"id": pl.Int64(), "ts": moment, "device": pl.String(), "half": pl.Float64()}

    def source(self) -> GenerateSource:
        columns = {"id": "i", "ts": "t", "device": "concat('d', i % 3)", "half": "i / 2.0"}
        return GenerateSource.model_validate({"columns": columns, "count": self.count})


SOURCES = [Counted]
