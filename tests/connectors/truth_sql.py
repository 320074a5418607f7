"""Tables of SQLite and PostgreSQL, looked at by Python's own library and by psql."""

# ruff: noqa: S608 - statements of tests

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import polars as pl
from contract_json import JsonRows, columns, read, written
from contract_truth import Fixture, SinkTruth, SourceTruth

from pydatastream.connectors.sql import SqlSource
from pydatastream.connectors.sql_sink import SqlSink
from pydatastream.core.component import Component
from services.postgres import tool


class Lite(JsonRows):
    """A file of SQLite: integers of 64 bits, text, and lists as JSON."""

    def carries(self, dtype: pl.DataType) -> bool:
        return dtype != pl.UInt64 and super().carries(dtype)


class Table(Lite, SourceTruth):
    def carries(self, dtype: pl.DataType) -> bool:
        return super().carries(dtype) and not dtype.is_nested()

    def seed(self, rows: pl.DataFrame) -> pl.DataFrame:
        self.schema = rows.schema
        names, marks = ", ".join(f'"{name}"' for name in rows.columns), ", ".join("?" * rows.width)
        lines = [list(json.loads(line).values()) for line in written(rows)]
        with closing(sqlite3.connect(self.place / "db")) as db, db:
            db.execute(f"create table readings ({names}, primary key (id))")
            db.executemany(f"insert into readings values ({marks})", lines)
        return rows

    def source(self) -> SqlSource:
        url = f"sqlite:///{self.place / 'db'}"
        return SqlSource.model_validate(
            {"url": url, "table": "readings", "schema": columns(self.schema)}
        )


class Growing(Table):
    """The same, with a cursor and without end."""

    killed = False

    def source(self) -> SqlSource:
        return super().source().model_copy(update={"cursor": "id", "lag": "0s", "every": "10ms"})


class Written(Lite, SinkTruth):
    def __init__(self, place: Path, fixture: Fixture) -> None:
        super().__init__(place, fixture)
        self.file = place / "db"

    def sink(self) -> SqlSink:
        return SqlSink.model_validate(
            {"url": f"sqlite:///{self.file}", "table": "readings", "create": True}
        )

    def visible(self, schema: pl.Schema) -> pl.DataFrame:
        with closing(sqlite3.connect(self.file)) as db:
            found = db.execute(f"select {', '.join(schema)} from readings").fetchall()
        return read([json.dumps(_plain(line, schema)) for line in found], schema)

    def lose(self) -> None:
        self.file.unlink()


class Elephant(JsonRows):
    """A database of PostgreSQL: integers up to 64 bits, text, arrays as JSON."""

    server = "postgres_server"

    def __init__(self, place: Path, fixture: Fixture) -> None:
        super().__init__(place, fixture)
        self.postgres = fixture(self.server)
        self.database = self.name.replace("-", "_")
        self.postgres.psql(f"create database {self.database}")
        self.url = f"postgresql://postgres@{self.postgres.address}/{self.database}"

    def carries(self, dtype: pl.DataType) -> bool:
        return dtype != pl.UInt64 and super().carries(dtype)

    def wrong(self) -> dict[str, Component]:
        one = self.source() if isinstance(self, SourceTruth) else self.sink()
        found = {
            r"127\.0\.0\.1:1": {"url": "postgresql://postgres@127.0.0.1:1/postgres"},
            '"nobody" does not exist': {"url": self.url.replace("postgres@", "nobody@")},
            '"nothing" does not exist': {"url": self.url.replace(self.database, "nothing")},
            "nowhere": {"table": "nowhere", "create": False},
        }
        known = set(type(one).model_fields)
        return {
            words: one.model_copy(update={k: v for k, v in given.items() if k in known})
            for words, given in found.items()
        }

    def psql(self, sql: str) -> str:
        """What psql prints for a script, which may be longer than a command."""
        script = self.postgres.folder / f"{self.name}.sql"
        script.write_text(f"set client_encoding to utf8;\n{sql}")
        where = ["-h", "127.0.0.1", "-p", str(self.postgres.port), "-U", "postgres"]
        plain = ["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", self.database, "-f", str(script)]
        return str(self.postgres.run(tool("psql"), *where, *plain))


class Kept(Elephant, SourceTruth):
    schema = pl.Schema({"id": pl.Int64})

    def carries(self, dtype: pl.DataType) -> bool:
        return super().carries(dtype) and not dtype.is_nested()

    def seed(self, rows: pl.DataFrame) -> pl.DataFrame:
        self.schema = rows.schema
        names = ", ".join(f"{name} {_kind(dtype)}" for name, dtype in rows.schema.items())
        values = b",".join(written(rows)).decode()
        self.psql(
            f"create table readings ({names}, primary key (id));\n"
            "insert into readings select * from "
            f"json_populate_recordset(null::readings, $json$[{values}]$json$)"
        )
        return rows

    def source(self) -> SqlSource:
        told = {"url": self.url, "table": "readings", "schema": columns(self.schema)}
        return SqlSource.model_validate(told)


class Copied(Elephant, SinkTruth):
    def sink(self) -> SqlSink:
        return SqlSink.model_validate({"url": self.url, "table": "readings", "create": True})

    def visible(self, schema: pl.Schema) -> pl.DataFrame:
        if self.psql("select to_regclass('readings') is null") == "t\n":
            return pl.DataFrame(schema=schema)
        found = self.psql("select row_to_json(r) from readings r").split("\n")
        return read(found[:-1], schema)

    def lose(self) -> None:
        self.psql("drop table readings, pds_markers")


def _kind(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.Datetime):
        return "timestamptz"
    return "boolean" if dtype == pl.Boolean else "bigint" if dtype.is_integer() else "text"


def _plain(line: tuple[object, ...], schema: pl.Schema) -> dict[str, object]:
    """A line of a table with the types that SQLite lacks."""
    return {
        name: value if value is None else _value(value, dtype)
        for (name, dtype), value in zip(schema.items(), line, strict=True)
    }


def _value(value: object, dtype: pl.DataType) -> object:
    if dtype.is_nested():
        return json.loads(str(value))
    return bool(value) if dtype == pl.Boolean else value


SOURCES = [Table, Growing, Kept]
SINKS = [Written, Copied]
