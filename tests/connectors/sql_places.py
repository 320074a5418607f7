"""Databases that tests write to, each read back by its own tool."""

# ruff: noqa: S608 - statements of tests

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from pydatastream.core.sink import Write
from pydatastream.core.source import Read


class Lite:
    """A file of SQLite, looked at by the library that Python brings."""

    def __init__(self, folder: Path, scheme: str = "sqlite") -> None:
        self.path = folder / "test.db"
        self.url = f"{scheme}:///{self.path}"
        self.run("create table if not exists unused (n int)")

    def run(self, sql: str) -> list[list[Any]]:
        db = sqlite3.connect(self.path)
        with db:
            found = [list(row) for row in db.execute(sql).fetchall()]
        db.close()
        return found


class Postgres:
    """A database of a running server, looked at by psql."""

    def __init__(self, server: Any, name: str) -> None:
        server.psql(f"create database {name}")
        self.server, self.name = server, name
        self.url = f"postgresql://postgres@{server.address}/{name}"

    def run(self, sql: str) -> list[list[Any]]:
        if not sql.startswith("select"):
            self._psql(sql)
            return []
        rows = self._psql(f"select coalesce(json_agg(row_to_json(r)), '[]') from ({sql}) r")
        return [list(row.values()) for row in json.loads(rows)]

    def _psql(self, sql: str) -> str:
        from services.postgres import tool

        where = ["-h", "127.0.0.1", "-p", str(self.server.port), "-U", "postgres", "-d", self.name]
        return self.server.run(
            tool("psql"), *where, "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql
        )


def job(schema, *, pipeline: str = "p", once: bool = True, **how: Any) -> Write:
    return Write(schema, pipeline, "out", durable=once, transactional=once, **how)


def published(sink, rows, epoch: int = 1, **how: Any) -> None:
    writer = sink.open(job(rows.schema, **how))
    writer.begin(epoch)
    writer.write(rows)
    writer.publish(epoch)
    writer.close()


def batches(source, **how: Any) -> list[Any]:
    reader = source.open("rows", Read(source.declared() or source.infer(), **how))
    try:
        return [one for one in reader if one is not None]
    finally:
        reader.close()
