"""Write rows into a table of a database."""

from __future__ import annotations

from typing import ClassVar, Literal

import polars as pl
from pydantic import Field, model_validator

from pydatastream.core.errors import ConfigError, StopError
from pydatastream.core.faults import fault_point
from pydatastream.core.operator import Names
from pydatastream.core.sink import Delivery, Sink, View, Write, Writer
from pydatastream.core.times import Duration, micros
from pydatastream.core.types import need
from pydatastream.parts.databases.database import Database, checked
from pydatastream.parts.databases.marker import Marker
from pydatastream.parts.databases.opening import opened
from pydatastream.parts.databases.statements import table_ddl
from pydatastream.parts.databases.view import TableView
from pydatastream.parts.network.tls import Tls
from pydatastream.parts.network.urls import SecretUrl


class SqlSink(Sink):
    """Write rows into a table: SQLite, PostgreSQL, and what SQLAlchemy speaks to.

    Columns are found by name; those of the table that the rows do not have keep their defaults.
    Lists and structs are written as JSON text, durations as microseconds, times in UTC; SQLite
    has decimals and times as text, and makes null of NaN. `sqlite:///file.db` needs no extra
    package, `postgresql://...` goes in by COPY. A row that the table refuses (a constraint, a
    value that is not of the column's type, a NUL character) becomes a dead letter.

    Delivery: exactly once with a checkpoint. The rows of an epoch and its number, in the table
    `pds_markers`, are one transaction; a crash before its commit leaves nothing, after it the
    number tells that the epoch is there. An instance that was taken over cannot commit. Without
    a checkpoint rows are added to those of the last run, and what was not yet committed is lost
    in a crash. The database must keep what it has committed: PostgreSQL with `fsync` and
    `synchronous_commit` on. Proven on SQLite and PostgreSQL; others must have savepoints.
    """

    delivery: ClassVar[Delivery] = Delivery.EXACTLY_ONCE
    remote: ClassVar[bool] = True
    locks: ClassVar[bool] = True
    primary: ClassVar[str | None] = "url"
    example: ClassVar[str] = (
        '{type: sql, url: "postgresql://me:${DB_PASSWORD}@db/plant", table: readings}'
    )

    url: SecretUrl = Field(repr=False)
    """Which database: "sqlite:///file.db", "postgresql://user:${PASSWORD}@host:5432/name"."""
    table: str
    """The table to write to, with its schema if it is not the usual one: "plant.readings"."""
    key: Names = Field(default_factory=list)
    """The columns that tell rows apart, for `mode: upsert` and for a table that is made."""
    mode: Literal["insert", "upsert"] = "insert"
    """Add each row, or replace the one with the same key."""
    create: bool = False
    """Make the table, and that of markers, where they are missing."""
    timeout: Duration = "60s"
    """How long a statement may take before the server counts as gone."""
    tls: Tls | None = None
    """Encrypt the connection to PostgreSQL, and check whose it is."""

    @model_validator(mode="after")
    def _fits(self) -> SqlSink:
        try:
            checked(self.table, "table")
            for name in self.key:
                checked(name)
        except ConfigError as error:
            raise ValueError(error.what) from None
        if self.mode == "upsert" and not self.key:
            raise ValueError("mode: upsert needs `key:`, the columns that tell rows apart")
        return self

    def accepts(self, schema: pl.Schema) -> None:
        """Raise `SchemaError` if a key is missing, `ConfigError` if a name cannot be one."""
        need(schema, *self.key)
        for name in schema:
            checked(name)

    def check(self) -> None:
        """Connect, and look at the table."""
        database = self._opened()
        try:
            if not self.create:
                self._columns(database)
        finally:
            database.close()

    def open(self, job: Write) -> Writer:
        """Connect, check the table's columns and take the marker over."""
        database = self._opened()
        try:
            self._prepare(database, job.schema)
            return SqlWriter(database, self, job)
        except BaseException:
            database.close()
            raise

    def view(self, schema: pl.Schema, rows: int, newest: str | None) -> View:
        """Look at the rows of the table that are the newest by their event time."""
        return TableView(self._opened(), self.table, schema, newest, rows)

    def _opened(self) -> Database:
        return opened(self.url, micros(self.timeout) / 1e6, create=self.create, tls=self.tls)

    def _columns(self, database: Database) -> pl.Schema:
        try:
            return database.columns(database.quoted(self.table))
        except StopError as error:
            raise ConfigError(error.what, where=error.where, hint=error.hint) from None

    def _prepare(self, database: Database, schema: pl.Schema) -> None:
        try:
            there = self._columns(database)
        except ConfigError:
            if not self.create:
                raise
            database.execute(table_ddl(database, self.table, schema, self.key))
            return
        missing = [name for name in schema if name not in there]
        if missing:
            what = f"table {self.table} has no column {', '.join(map(repr, missing))}"
            hint = f"add it, or leave it out by a step `select`; it has: {', '.join(there)}"
            raise ConfigError(what, where=database.place, hint=hint)


class SqlWriter:
    """Writes each epoch in one transaction, with its marker."""

    def __init__(self, database: Database, sink: SqlSink, job: Write) -> None:
        self._database, self._table = database, sink.table
        self._key = sink.key if sink.mode == "upsert" else []
        self._begun = False
        self._marker: Marker | None = None
        if job.transactional:
            self._marker = Marker(database, job, create=sink.create)
            self._marker.take()

    def begin(self, epoch: int) -> None:  # noqa: ARG002 - publish names it
        self._database.rollback()
        self._database.begin()
        self._begun = True

    def write(self, rows: pl.DataFrame) -> None:
        if self._key:
            rows = rows.unique(subset=self._key, keep="last", maintain_order=True)
        self._database.insert(self._table, rows, self._key)
        fault_point("sql.written")

    def publish(self, epoch: int) -> None:
        if not self._begun:
            return
        if self._marker:
            self._marker.advance(epoch)
        fault_point("sql.marked")
        self._database.commit()
        fault_point("sql.committed")
        self._begun = False
        if self._marker:
            self._marker.epoch = epoch

    def published(self) -> int | None:
        return (self._marker.epoch or None) if self._marker else None

    def close(self) -> None:
        self._database.close()
