"""Collections, filled and looked into by pymongo in a process of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
from contract_json import JsonRows, columns, read, written
from contract_truth import Fixture, SinkTruth, SourceTruth

from pydatastream.connectors.mongodb import MongodbSource
from pydatastream.connectors.mongodb_sink import MongodbSink
from pydatastream.core.component import Component


class Collection(JsonRows):
    server = "mongodb_server"

    def __init__(self, place: Path, fixture: Fixture) -> None:
        super().__init__(place, fixture)
        self.mongodb = fixture(self.server)
        uri = self.mongodb.environment()["MONGODB_URI"]
        self.options: dict[str, Any] = {"uri": uri, "database": self.name, "collection": "rows"}

    def carries(self, dtype: pl.DataType) -> bool:
        """Its integers have 64 bits with a sign, its times milliseconds."""
        return super().carries(dtype) and dtype != pl.UInt64 and not isinstance(dtype, pl.Datetime)

    def wrong(self) -> dict[str, Component]:
        one = self.source() if isinstance(self, SourceTruth) else self.sink()
        nobody = {"uri": "mongodb://127.0.0.1:1/?directConnection=true", "timeout": "300ms"}
        return {r"127\.0\.0\.1:1": one.model_copy(update=nobody)}

    def run(self, statement: str) -> str:
        """What a Python of its own prints that has pymongo and `rows`."""
        found = f"db = client[{self.name!r}]; rows = db.rows; {statement}"
        return str(self.mongodb.python(f"import json; {found}"))


class Documents(Collection, SourceTruth):
    schema = pl.Schema({"id": pl.Int64})

    def seed(self, rows: pl.DataFrame) -> pl.DataFrame:
        self.schema, file = rows.schema, self.place / "rows"
        file.write_bytes(b"[" + b",".join(written(rows)) + b"]")
        if rows.height:
            self.run(
                f"found = json.load(open({str(file)!r})); "
                "rows.insert_many([{'_id': one['id'], **one} for one in found])"
            )
        return rows

    def source(self) -> MongodbSource:
        return MongodbSource.model_validate({**self.options, "schema": columns(self.schema)})


class Inserted(Collection, SinkTruth):
    def sink(self) -> MongodbSink:
        return MongodbSink.model_validate(self.options)

    def visible(self, schema: pl.Schema) -> pl.DataFrame:
        found = json.loads(self.run("print(json.dumps(list(rows.find({}, {'_id': 0}))))"))
        return read([json.dumps(one) for one in found], schema)

    def lose(self) -> None:
        self.run(f"client.drop_database({self.name!r})")


SOURCES = [Documents]
SINKS = [Inserted]
