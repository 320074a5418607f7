"""Read rows from a table or a query of a database."""

# ruff: noqa: S608 - names are checked, values are bound, and a query is the user's own

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import polars as pl
from pydantic import Field, model_validator

from pydatastream.core.batch import Batch, Offset
from pydatastream.core.errors import ConfigError, RowError, StopError
from pydatastream.core.format import Decoded
from pydatastream.core.operator import Names
from pydatastream.core.source import Read, Reader, Source
from pydatastream.core.times import Duration, micros
from pydatastream.core.types import need
from pydatastream.parts.databases.columns import read
from pydatastream.parts.databases.database import Database, checked
from pydatastream.parts.databases.opening import opened
from pydatastream.parts.databases.places import packed, unpacked
from pydatastream.parts.network.tls import Tls
from pydatastream.parts.network.urls import SecretUrl
from pydatastream.parts.remote.ranges import RangeReader


class SqlSource(Source):
    """Read a table or a query once, or with `cursor:` again and again what is new.

    Without `cursor:` the rows come in the order of `key:`, else of the table's primary key, else
    of all columns, and end. With it they come in its order, without end; it must grow from row
    to row and have an index, or each portion is sorted anew. Times without a zone are in UTC,
    arrays and JSON are text, a numeric without precision is a float. A value that does not fit
    its column's type makes its row a dead letter. `sqlite:///file.db` needs no extra package.

    Delivery: replayable. An offset is the last value of the cursor, or of the key, and how many
    rows came before; rows that changed or were deleted since stop a replay. Numbers of a
    sequence are given out before their rows are committed, so that a row may appear behind
    greater ones: rows are read once their value has been passed for `lag` and, on PostgreSQL,
    every transaction of that time is over, one in another database of the server included. A row
    committed later than that is not seen. A row whose cursor is null stops the run at its start.
    """

    replayable: ClassVar[bool] = True
    primary: ClassVar[str | None] = "url"
    example: ClassVar[str] = (
        '{type: sql, url: "postgresql://me:${DB_PASSWORD}@db/plant", table: readings, cursor: id}'
    )

    url: SecretUrl = Field(repr=False)
    """Which database: "sqlite:///file.db", "postgresql://user:${PASSWORD}@host:5432/name"."""
    table: str | None = None
    """The table to read, with its schema if it is not the usual one: "plant.readings"."""
    query: str | None = Field(None, min_length=1)
    """Or a query."""
    cursor: str | None = None
    """A column that grows from row to row, such as a sequence number: the stream has no end."""
    key: Names = Field(default_factory=list)
    """The columns that give the order; with `cursor:` that of rows with the same value."""
    lag: Duration = "5s"
    """How long a row may take from its number, or its time, to its commit."""
    every: Duration = "1s"
    """How often to look for new rows."""
    timeout: Duration = "60s"
    """How long a statement may take before the server counts as gone."""
    tls: Tls | None = None
    """Encrypt the connection to PostgreSQL, and check whose it is."""

    @model_validator(mode="after")
    def _fits(self) -> SqlSource:
        if (self.table is None) == (self.query is None):
            raise ValueError("either `table:` or `query:` is needed")
        try:
            checked(self.table or "query", "table")
            for name in [*self.key, *([self.cursor] if self.cursor else [])]:
                checked(name)
        except ConfigError as error:
            raise ValueError(error.what) from None
        return self

    @property
    def bounded(self) -> bool:
        """Whether the rows end: they do, without a cursor."""
        return self.cursor is None

    def partitions(self) -> Sequence[str]:
        """There is one."""
        return ["rows"]

    def infer(self) -> pl.Schema:
        """The columns of the table or query."""
        database = self._opened()
        try:
            return self._columns(database)
        finally:
            database.close()

    def check(self) -> None:
        """Connect, and look at the columns."""
        need(self.infer(), *self.key, *([self.cursor] if self.cursor else []))

    def open(self, partition: str, job: Read) -> Reader:  # noqa: ARG002 - there is but one
        """Connect and start reading."""
        database = self._opened()
        try:
            need(self._columns(database), *job.schema)
            selected = Selection(database, self, job.schema)
            if selected.column is None:
                return WholeReader(selected, job)
            with asking():
                selected.refuse_nulls()
            pace = None if self.bounded else (micros(self.lag) / 1e6, micros(self.every) / 1e6)
            return RangeReader(selected, job, pace)
        except BaseException:
            database.close()
            raise

    def relation(self, database: Database) -> str:
        """What stands behind `from`."""
        if self.table:
            return database.quoted(self.table)
        return f"({(self.query or '').strip().rstrip(';')}) as pds_rows"

    def _opened(self) -> Database:
        return opened(self.url, micros(self.timeout) / 1e6, tls=self.tls)

    def _columns(self, database: Database) -> pl.Schema:
        try:
            return database.columns(self.relation(database))
        except StopError as error:
            raise ConfigError(error.what, where=error.where, hint=error.hint) from None


class Selection:
    """Statements that read a table or a query in order."""

    def __init__(self, database: Database, source: SqlSource, schema: pl.Schema) -> None:
        self.database, self.schema = database, schema
        self.relation = source.relation(database)
        self._projected = database.projected(schema.names(), self.relation)
        key = source.key or (database.key_of(source.table) if source.table else [])
        single = key[0] if len(key) == 1 else None
        self.column = source.cursor or single
        order = [source.cursor, *key] if source.cursor else key or schema.names()
        self.order = database.named(list(dict.fromkeys(filter(None, order))))

    def whole(self) -> str:
        """All rows."""
        return f"select {self._projected} from {self.relation} order by {self.order}"

    def between(self, after: Any, upto: Any) -> Decoded:
        """The rows whose value lies in a range: not `after` itself, but `upto`."""
        where, values = self._range(after, upto)
        rows = f"select {self._projected} from {self.relation} where {where} order by {self.order}"
        with asking():
            return self.decoded(self.database.select(rows, values))

    def decoded(self, rows: Sequence[tuple[Any, ...]]) -> Decoded:
        """Rows as a frame."""
        return read(rows, self.schema, self.database.stored)

    def greatest(self, after: Any = None, upto: Any = None) -> Any:
        """The greatest value in a range; None: it is empty."""
        where, values = self._range(after, upto)
        found = f"select max({self._column()}) from {self.relation} where {where}"
        with asking():
            return self.database.select(found, values)[0][0]

    def portion(self, after: Any, upto: Any, rows: int) -> Any:
        """Up to which value there are about so many rows; None: there are none."""
        where, values = self._range(after, upto)
        found = self.database.select(
            f"select {self._column()} from {self.relation} where {where} "
            f"order by {self._column()} limit 1 offset {rows - 1}",
            values,
        )
        return found[0][0] if found else self.greatest(after, upto)

    def pack(self, value: Any) -> Any:
        """A value as an offset has it."""
        return packed(value)

    def unpack(self, value: Any) -> Any:
        """A value as the database has it."""
        return unpacked(value)

    def horizon(self) -> int | None:
        """Which transactions may still commit."""
        return self.database.horizon()

    def passed(self, horizon: int | None) -> bool:
        """Whether those are over."""
        return self.database.passed(horizon)

    def close(self) -> None:
        """Let go of the connection."""
        self.database.close()

    def refuse_nulls(self) -> None:
        """Raise `StopError` if a row has no value to read it by."""
        where = f"{self._column()} is null limit 1"
        if self.database.select(f"select 1 from {self.relation} where {where}"):
            what = f"a row has no {self.column}: it would never be read"
            raise StopError(what, where=self.database.place, hint="a query that leaves it out")

    def _column(self) -> str:
        return self.database.quoted(self.column or "")

    def _range(self, after: Any, upto: Any) -> tuple[str, list[Any]]:
        limits = [(">", after), ("<=", upto)]
        given = [(sign, value) for sign, value in limits if value is not None]
        parts = [f"{self._column()} {sign} {self.database.mark}" for sign, _ in given]
        return " and ".join(parts) or "1 = 1", [value for _, value in given]


class WholeReader:
    """Reads all rows in one go; it starts by passing over those that were read before."""

    def __init__(self, selected: Selection, job: Read) -> None:
        self._selected, self._job = selected, job

    def __iter__(self) -> Iterator[Batch | None]:
        at, start = 0, (self._job.resume or {"rows": 0})["rows"]
        end = self._job.until["rows"] if self._job.until else None
        with asking():
            for portion in self._selected.database.stream(self._selected.whole()):
                rows = portion[max(0, start - at) : None if end is None else max(0, end - at)]
                at += len(portion)
                for first in range(0, len(rows), self._job.rows):
                    piece = rows[first : first + self._job.rows]
                    start += len(piece)
                    decoded = self._selected.decoded(piece)
                    yield Batch(decoded.rows, {"rows": start}, decoded.dead)

    def commit(self, offset: Offset) -> None:
        """Nothing to do: the rows stay."""

    def close(self) -> None:
        self._selected.close()


@contextmanager
def asking() -> Iterator[None]:
    """An error that a sink would blame on a row is one of the query here."""
    try:
        yield
    except RowError as error:
        raise StopError(error.what, hint="mend the query, or the rows that it fails on") from error
