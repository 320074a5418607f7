"""What the source and the sink ask of a database, whichever it is."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import polars as pl

from pydatastream.core.errors import ConfigError, RowError

Values = Sequence[Any]
NAME = r"[A-Za-z_][A-Za-z0-9_]*"
PORTION = 50_000
"""Rows that are fetched or written at once: enough that the cost of a call does not show."""


def checked(name: str, what: str = "column") -> str:
    """A name that may stand in a statement; `ConfigError` for any other."""
    if not re.fullmatch(rf"{NAME}(\.{NAME})?" if what == "table" else NAME, name):
        hint = f"rename it: letters, digits and _ only; {what} names are never escaped"
        raise ConfigError(f"{name!r} cannot be the name of a {what}", hint=hint)
    return name


class Database(ABC):
    """One connection; statements have `?` or `%s` for values, which are always bound.

    Rules: nothing is committed but by `commit`. `insert` takes all rows or none: what was
    written before in the transaction stays. Raise `RetryLater` where the database may come
    back, `RowError` for rows it refuses, `StopError` for what a person must mend.
    """

    mark: ClassVar[str]
    """What stands for a value."""
    types: ClassVar[Mapping[type[pl.DataType], str]]
    """The types of columns that are made."""
    nested: ClassVar[str]
    """The type of a column of lists or structs, which are written as JSON text."""
    place: str
    """Where it is: host and port, or a path."""

    @abstractmethod
    def select(self, statement: str, values: Values = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""

    @abstractmethod
    def stream(self, statement: str) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a query in portions, all as they stand when it begins."""

    @abstractmethod
    def execute(self, statement: str, values: Values = ()) -> int:
        """Run a statement; returns how many rows it changed."""

    def insert(self, table: str, rows: pl.DataFrame, key: Sequence[str]) -> None:
        """Add rows; with a key, replace those that are there already."""
        self.execute("savepoint pds")
        try:
            self.put(table, rows, key)
        except RowError:
            self.execute("rollback to savepoint pds")
            raise
        self.execute("release savepoint pds")

    @abstractmethod
    def put(self, table: str, rows: pl.DataFrame, key: Sequence[str]) -> None:
        """Add rows, perhaps some only when one is refused."""

    @abstractmethod
    def columns(self, relation: str) -> pl.Schema:
        """The columns of a table or of a query in brackets."""

    @abstractmethod
    def key_of(self, table: str) -> list[str]:
        """The columns that tell the rows of a table apart, if there are such."""

    def begin(self) -> None:
        """Begin a transaction that writes."""
        self.execute("begin")

    def commit(self) -> None:
        """Make the transaction durable and visible."""
        self.execute("commit")

    @abstractmethod
    def rollback(self) -> None:
        """Forget the transaction, if there is one."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the connection; it may be closed twice."""

    def quoted(self, name: str) -> str:
        """A name as it stands in a statement."""
        return ".".join(f'"{part}"' for part in checked(name, "table").split("."))

    def named(self, names: Sequence[str]) -> str:
        """Names with commas between."""
        return ", ".join(map(self.quoted, names))

    def projected(self, names: Sequence[str], relation: str) -> str:  # noqa: ARG002 - for others
        """Columns as they are fetched."""
        return self.named(names)

    def stored(self, dtype: pl.DataType) -> pl.DataType:
        """The type in which values of a column arrive."""
        return dtype

    def horizon(self) -> int | None:
        """A mark of time: every transaction that may still commit began before it."""
        return None

    def passed(self, horizon: int | None) -> bool:  # noqa: ARG002 - for those that have such
        """Whether all transactions that had begun at that time are over."""
        return True

    def made(self, dtype: pl.DataType) -> str:
        """The type of a column that is made for these values."""
        if isinstance(dtype, pl.Decimal):
            kind = self.types[pl.Decimal]
            return f"{kind}({dtype.precision}, {dtype.scale})" if kind == "numeric" else kind
        return self.nested if dtype.is_nested() else self.types.get(type(dtype), "text")
