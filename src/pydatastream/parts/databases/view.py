"""What a table holds: its newest rows."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from pydatastream.parts.databases.columns import read
from pydatastream.parts.databases.database import Database

OVERLAP = 2_000
"""Rows that are asked for again: what another writer has committed behind them is seen too."""


ROWID = "rowid"
"""What SQLite calls the number of a row; it grows as rows are added, and needs no index."""


@dataclass(slots=True)
class TableView:
    """The newest rows of a table, by a column that grows."""

    database: Database
    table: str
    schema: pl.Schema
    newest: str | None
    """The column that grows, unless the table numbers its rows; with neither, all is asked for."""
    rows: int
    _known: pl.DataFrame | None = None

    def __post_init__(self) -> None:
        if ROWID not in self.schema and self.database.key_of(self.table) == [ROWID]:
            self.newest = ROWID

    def latest(self) -> pl.DataFrame:
        """At most `rows`, oldest first."""
        found = None if self.newest is None else self._added(self.newest)
        self._known = self._asked(self.rows) if found is None else found.tail(self.rows)
        return self._known.select(self.schema.names())

    def _added(self, newest: str) -> pl.DataFrame | None:
        """What is known and what has come; None: more has come than is asked for."""
        if self._known is None or not self._known.height:
            return None
        some = self._asked(OVERLAP)
        oldest = some.get_column(newest).min()
        if some.height < OVERLAP:
            return some
        before = self._known.filter(pl.col(newest) <= oldest)
        reaches = before.height < self._known.height or before.get_column(newest).max() == oldest
        return pl.concat([before, some.filter(pl.col(newest) > oldest)]) if reaches else None

    def _asked(self, count: int) -> pl.DataFrame:
        schema = {**self.schema, **({ROWID: pl.Int64()} if self.newest == ROWID else {})}
        relation = self.database.quoted(self.table)
        columns = self.database.projected(list(schema), relation)
        order = f" order by {self.database.quoted(self.newest)} desc" if self.newest else ""
        found = self.database.select(
            f"select {columns} from {relation}{order} limit {count}"  # noqa: S608 - checked names
        )
        self.database.rollback()
        nested = [n for n, of in schema.items() if of.is_nested()]  # written as JSON text
        flat = pl.Schema({**schema, **dict.fromkeys(nested, pl.String())})
        rows = read(found, flat, self.database.stored).rows.reverse()
        return rows.with_columns(pl.col(n).str.json_decode(schema[n]) for n in nested)

    def close(self) -> None:
        """Let go of the connection."""
        self.database.close()
