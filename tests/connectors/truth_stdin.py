"""Standard input, which here is a file of JSON lines."""

from __future__ import annotations

import sys

import polars as pl
from contract_json import JsonRows, written
from contract_truth import SourceTruth

from pydatastream.connectors.stdin import StdinSource
from pydatastream.formats.json import JsonFormat


class Lines(JsonRows, SourceTruth):
    killed = False

    def seed(self, rows: pl.DataFrame) -> pl.DataFrame:
        file = self.place / "stdin"
        file.write_bytes(b"".join(line + b"\n" for line in written(rows)))
        self.before, sys.stdin = sys.stdin, file.open()
        return rows

    def source(self) -> StdinSource:
        return StdinSource(format=JsonFormat(), max_record=4 << 20)

    def close(self) -> None:
        if hasattr(self, "before"):
            sys.stdin.close()
            sys.stdin = self.before


SOURCES = [Lines]
