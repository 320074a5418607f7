"""SQLite, by the standard library."""

# ruff: noqa: S608 - names are checked, values are bound

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from pydatastream.core.errors import ConfigError, RetryLater, RowError, StopError
from pydatastream.parts.databases.database import PORTION, Database, Values
from pydatastream.parts.databases.sqlite_types import AS_TEXT, KINDS, bound, meant
from pydatastream.parts.databases.statements import insertion

WAIT = 5.0
"""Seconds to wait for another writer."""


class Sqlite(Database):
    """A file; the one who writes keeps all others from writing."""

    mark = "?"
    types: ClassVar = KINDS
    nested = "text"

    def __init__(self, path: str, *, create: bool, wait: float = WAIT) -> None:
        self.place = path
        self._known: dict[str, str] = {}
        if not create and path != ":memory:" and not Path(path).exists():
            hint = "check the path; `create: true` at an output makes it"
            raise ConfigError("there is no such database", where=path, hint=hint)
        with self._translated():
            self._db = sqlite3.connect(
                path, timeout=wait, isolation_level=None, check_same_thread=False
            )
            self._db.execute("pragma synchronous = full")
            self._db.execute("select count(*) from sqlite_master")

    def select(self, statement: str, values: Values = ()) -> list[tuple[Any, ...]]:
        with self._translated():
            return self._db.execute(statement, values).fetchall()

    def stream(self, statement: str) -> Iterator[list[tuple[Any, ...]]]:
        with self._translated():
            cursor = self._db.execute(statement)
            while rows := cursor.fetchmany(PORTION):
                yield rows

    def execute(self, statement: str, values: Values = ()) -> int:
        with self._translated():
            return self._db.execute(statement, values).rowcount

    def put(self, table: str, rows: pl.DataFrame, key: Sequence[str]) -> None:
        statement = insertion(self, table, rows.columns, key)
        columns = [one.to_list() for one in rows.select(bound(rows.schema))]
        with self._translated():
            self._db.executemany(statement, zip(*columns, strict=True))

    def columns(self, relation: str) -> pl.Schema:
        self.execute(f"create temp view pds_look as select * from {relation}")
        try:
            declared = [(row[1], row[2]) for row in self.select("pragma table_info(pds_look)")]
        finally:
            self.execute("drop view temp.pds_look")
        sample = self.select(f"select * from {relation} limit 100")
        values = list(zip(*sample, strict=True)) or [()] * len(declared)
        return pl.Schema(
            {name: meant(kind, of) for (name, kind), of in zip(declared, values, strict=True)}
        )

    def key_of(self, table: str) -> list[str]:
        schema, _, name = table.rpartition(".")
        inside = self.quoted(schema or "main")
        found = self.select(f"pragma {inside}.table_info({self.quoted(name)})")
        key = [row[1] for row in sorted(found, key=lambda row: row[5]) if row[5]]
        kind = f"select type from {inside}.sqlite_master where name = ?"
        return key or (["rowid"] if self.select(kind, (name,)) == [("table",)] else [])

    def stored(self, dtype: pl.DataType) -> pl.DataType:
        if dtype == pl.Boolean or dtype == pl.Duration:
            return pl.Int64()
        return pl.String() if isinstance(dtype, AS_TEXT) or dtype.is_nested() else dtype

    def begin(self) -> None:
        self.execute("begin immediate")

    def rollback(self) -> None:
        if self._db.in_transaction:
            self.execute("rollback")

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.IntegrityError, sqlite3.DataError, OverflowError) as error:
            raise RowError(str(error)) from error
        except sqlite3.Error as error:
            told = str(error)
            if "locked" in told or "busy" in told:
                raise RetryLater(f"{self.place} is locked by another program") from error
            hint = "check the path, the names of table and columns, and the right to write there"
            raise StopError(told, where=self.place, hint=hint) from error
