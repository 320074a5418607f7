"""Standard output, of JSON lines."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from contract_json import JsonRows, read
from contract_truth import Fixture, SinkTruth

from pydatastream.connectors.stdout import StdoutSink
from pydatastream.formats.json import JsonFormat


class Lines(JsonRows, SinkTruth):
    killed = False

    def __init__(self, place: Path, fixture: Fixture) -> None:
        super().__init__(place, fixture)
        self.captured, self.out = fixture("capfdbinary"), b""

    def sink(self) -> StdoutSink:
        return StdoutSink(format=JsonFormat())

    def _text(self) -> str:
        self.out += self.captured.readouterr().out
        return str(self.out.decode())

    def visible(self, schema: pl.Schema) -> pl.DataFrame:
        return read([line for line in self._text().split("\n") if line], schema)


SINKS = [Lines]
