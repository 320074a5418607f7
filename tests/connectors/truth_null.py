"""Nowhere: whatever is written, nothing can be seen."""

from __future__ import annotations

import polars as pl
from contract_truth import SinkTruth

from pydatastream.connectors.null import NullSink


class Nowhere(SinkTruth):
    killed = False
    keeps = False

    def sink(self) -> NullSink:
        return NullSink()

    def visible(self, schema: pl.Schema) -> pl.DataFrame:
        return pl.DataFrame(schema=schema)


SINKS = [Nowhere]
