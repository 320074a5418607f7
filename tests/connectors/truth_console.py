"""The console, which here is no terminal: aligned columns of what needs no escaping."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from contract_truth import Fixture, SinkTruth

from pydatastream.connectors.console import ConsoleSink


class Columns(SinkTruth):
    killed = False

    def __init__(self, place: Path, fixture: Fixture) -> None:
        super().__init__(place, fixture)
        self.captured, self.out = fixture("capfdbinary"), b""

    def carries(self, dtype: pl.DataType) -> bool:
        return dtype.is_integer()

    def sink(self) -> ConsoleSink:
        return ConsoleSink()

    def _text(self) -> str:
        self.out += self.captured.readouterr().out
        return str(self.out.decode())

    def visible(self, schema: pl.Schema) -> pl.DataFrame:
        lines = [line.split() for line in self._text().splitlines()]
        values = [
            [None if word == "null" else int(word) for word in line]
            for line in lines
            if line != list(schema)
        ]
        return pl.DataFrame(values, schema=schema, orient="row")


SINKS = [Columns]
