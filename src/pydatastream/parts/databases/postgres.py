"""PostgreSQL, by psycopg: rows go in by COPY."""

# ruff: noqa: S608 - names are checked, values are bound

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from pydatastream.core.errors import RowError
from pydatastream.parts.databases.database import PORTION, Database, Values
from pydatastream.parts.databases.postgres_copy import copied, refuse_zeros
from pydatastream.parts.databases.postgres_errors import CONNECT, encryption, patient, unreachable
from pydatastream.parts.databases.postgres_types import FETCHED, KINDS, PRIMARY_KEY, fetched
from pydatastream.parts.databases.statements import conflict
from pydatastream.parts.network.tls import Tls

if TYPE_CHECKING:
    import psycopg

STAGE = "pds_stage"
NEXT = "select txid_snapshot_xmax(txid_current_snapshot())"
OLDEST = "select txid_snapshot_xmin(txid_current_snapshot())"


class Postgres(Database):
    """A connection to a PostgreSQL server."""

    mark = "%s"
    types: ClassVar = KINDS
    nested = "jsonb"

    def __init__(self, url: str, place: str, patience: float, tls: Tls | None) -> None:
        import psycopg

        self.place, self._patience, self._staged = place, patience, ""
        try:
            self._db: psycopg.Connection[tuple[Any, ...]] = psycopg.connect(
                url, autocommit=True, **CONNECT, **encryption(tls)
            )
        except psycopg.Error as error:
            raise unreachable(error, place) from error
        self.execute("set timezone = 'UTC'; set lock_timeout = '10s'")

    def select(self, statement: str, values: Values = ()) -> list[tuple[Any, ...]]:
        with self._patiently():
            return self._db.execute(statement, values or None, binary=True).fetchall()

    def stream(self, statement: str) -> Iterator[list[tuple[Any, ...]]]:
        with self._patiently():
            self._db.execute("begin isolation level repeatable read read only")
            cursor = self._db.cursor("pds", binary=True)  # one on the server: portions come
            cursor.execute(statement)
        while True:
            with self._patiently():
                rows = cursor.fetchmany(PORTION)
            if not rows:
                return self.rollback()
            yield rows

    def execute(self, statement: str, values: Values = ()) -> int:
        with self._patiently():
            return self._db.execute(statement, values or None).rowcount

    def insert(self, table: str, rows: pl.DataFrame, key: Sequence[str]) -> None:
        refuse_zeros(rows)
        try:
            super().insert(table, rows, key)
        except RowError:
            self._staged = ""  # a table made since the savepoint is gone with it
            raise

    def columns(self, relation: str) -> pl.Schema:
        return pl.Schema({one.name: fetched(one) for one in self._described(relation)})

    def key_of(self, table: str) -> list[str]:
        found = self.select(PRIMARY_KEY, (self.quoted(table),))
        return [name for (name,) in found]

    def projected(self, names: Sequence[str], relation: str) -> str:
        kinds = {one.name: one.type_code for one in self._described(relation)}
        forms = {name: FETCHED.get(kinds.get(name, 0), "{}::text") for name in names}
        return ", ".join(form.format(self.quoted(name)) for name, form in forms.items())

    def horizon(self) -> int | None:
        return int(self.select(NEXT)[0][0])

    def passed(self, horizon: int | None) -> bool:
        now = self.select(OLDEST)[0][0]
        return horizon is None or bool(now >= horizon)

    def begin(self) -> None:
        super().begin()
        self.execute("set constraints all immediate")

    def rollback(self) -> None:
        self._staged = ""  # what was made in the transaction is gone with it
        if self._db.info.transaction_status:
            self.execute("rollback")

    def close(self) -> None:
        self._db.close()

    def _described(self, relation: str) -> Sequence[psycopg.Column]:
        with self._patiently():
            return self._db.execute(f"select * from {relation} limit 0").description or ()

    def put(self, table: str, rows: pl.DataFrame, key: Sequence[str]) -> None:
        if not key:
            return self._copy(self.quoted(table), rows)
        columns = self.named(rows.columns)
        self._stage(f"select {columns} from {self.quoted(table)}")
        self._copy(STAGE, rows)
        then = conflict(self, rows.columns, key)
        self.execute(
            f"insert into {self.quoted(table)} ({columns}) select {columns} from {STAGE}{then}"
        )
        self.execute(f"truncate {STAGE}")
        return None

    def _stage(self, rows: str) -> None:
        """A temporary table with the columns to write, made anew where they are others."""
        if self._staged != rows:
            self.execute(f"drop table if exists {STAGE}")
            self.execute(f"create temp table {STAGE} on commit delete rows as {rows} with no data")
            self._staged = rows

    def _copy(self, table: str, rows: pl.DataFrame) -> None:
        into = f"copy {table} ({self.named(rows.columns)}) from stdin (format csv)"
        with self._patiently(), self._db.cursor() as cursor, cursor.copy(into) as copy:
            copy.write(copied(rows))

    def _patiently(self) -> AbstractContextManager[None]:
        return patient(self._db, self.place, self._patience)
