"""Whatever SQLAlchemy speaks to."""

# ruff: noqa: S608 - names are checked, values are bound

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import polars as pl

from pydatastream.core.errors import ConfigError, PdsError, RetryLater, RowError, StopError
from pydatastream.parts.databases.database import PORTION, Database, Values, checked
from pydatastream.parts.databases.generic_types import KINDS, bound, named
from pydatastream.parts.databases.statements import insertion

SAMPLE = 1000
"""Rows that are looked at to tell the types of columns."""

UPSERTS = ("sqlite", "postgresql")
"""Dialects that replace a row by `on conflict`."""


class Generic(Database):
    """A connection of SQLAlchemy's; rows go in by `executemany`."""

    mark = "?"
    types: ClassVar = KINDS
    nested = "varchar(4000)"

    def __init__(self, url: str, place: str) -> None:
        import sqlalchemy

        self.place, self._text = place, sqlalchemy.text
        try:
            self._engine = sqlalchemy.create_engine(url, pool_size=1, isolation_level="AUTOCOMMIT")
        except (sqlalchemy.exc.ArgumentError, ImportError) as error:
            what = str(error).splitlines()[0]
            raise ConfigError(
                what, where=place, hint="check `url:`, and install its driver"
            ) from None
        self._quote = self._engine.dialect.identifier_preparer.quote
        with self._translated():
            self._db = self._engine.connect()

    def select(self, statement: str, values: Values = ()) -> list[tuple[Any, ...]]:
        with self._translated():
            return [tuple(row) for row in self._run(statement, values)]

    def stream(self, statement: str) -> Iterator[list[tuple[Any, ...]]]:
        with self._translated():
            found = self._db.execution_options(stream_results=True).execute(self._text(statement))
            while rows := found.fetchmany(PORTION):
                yield [tuple(row) for row in rows]

    def execute(self, statement: str, values: Values = ()) -> int:
        with self._translated():
            return int(self._run(statement, values).rowcount)

    def put(self, table: str, rows: pl.DataFrame, key: Sequence[str]) -> None:
        if key and self._engine.dialect.name not in UPSERTS:
            what = f"`mode: upsert` is not known for {self._engine.dialect.name}"
            raise ConfigError(what, hint="mode: insert")
        statement, _ = named(insertion(self, table, rows.columns, key))
        given = rows.select(bound(rows.schema)).rows()
        values = [{f"v{n}": one for n, one in enumerate(row)} for row in given]
        with self._translated():
            self._db.execute(self._text(statement), values)

    def columns(self, relation: str) -> pl.Schema:
        with self._translated():
            statement = f"select * from {relation}"
            found = self._db.execute(self._text(statement))
            rows, names = found.fetchmany(SAMPLE), list(found.keys())
            found.close()
        looked = pl.DataFrame([tuple(row) for row in rows], names, orient="row", strict=False)
        utc = pl.Datetime("us", "UTC")
        return pl.Schema(
            {name: utc if isinstance(of, pl.Datetime) else of for name, of in looked.schema.items()}
        )

    def key_of(self, table: str) -> list[str]:
        import sqlalchemy

        schema, _, name = table.rpartition(".")
        with self._translated():
            found = sqlalchemy.inspect(self._engine).get_pk_constraint(name, schema or None)
        return list(found["constrained_columns"])

    def quoted(self, name: str) -> str:
        return ".".join(self._quote(part) for part in checked(name, "table").split("."))

    def stored(self, dtype: pl.DataType) -> pl.DataType:
        return pl.Datetime("us") if isinstance(dtype, pl.Datetime) else dtype

    def rollback(self) -> None:
        try:
            self.execute("rollback")
        except PdsError:
            return  # there was none

    def close(self) -> None:
        self._db.close()
        self._engine.dispose()

    def _run(self, statement: str, values: Values) -> Any:
        text, names = named(statement)
        return self._db.execute(self._text(text), dict(zip(names, values, strict=True)))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        import sqlalchemy.exc as refused

        try:
            yield
        except (refused.IntegrityError, refused.DataError, OverflowError) as error:
            raise RowError(str(getattr(error, "orig", error))) from error
        except refused.DBAPIError as error:
            if error.connection_invalidated or "locked" in str(error.orig):
                raise RetryLater(f"{self.place}: {error.orig}") from error
            hint = "check the address, the names of table and columns, and the rights there"
            raise StopError(str(error.orig), where=self.place, hint=hint) from error
