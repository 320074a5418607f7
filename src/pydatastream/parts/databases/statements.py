"""Statements that several databases understand."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from pydatastream.parts.databases.database import Database

MARKERS = "pds_markers"
"""The table that remembers, for each pipeline and output, the last epoch and who writes."""

MARKERS_DDL = (
    f"create table {MARKERS} (pipeline varchar(200) not null, output varchar(200) not null, "
    "epoch bigint not null, owner varchar(64) not null, primary key (pipeline, output))"
)


def insertion(database: Database, table: str, columns: Sequence[str], key: Sequence[str]) -> str:
    """The statement that adds one row; with a key, it replaces one that is there."""
    marks = ", ".join([database.mark] * len(columns))
    into = f"insert into {database.quoted(table)} ({database.named(columns)})"
    return f"{into} values ({marks}){conflict(database, columns, key)}"


def conflict(database: Database, columns: Sequence[str], key: Sequence[str]) -> str:
    """What to do with a row whose key is there already."""
    if not key:
        return ""
    names = [database.quoted(name) for name in columns if name not in key]
    sets = ", ".join(f"{name} = excluded.{name}" for name in names)
    action = f"do update set {sets}" if sets else "do nothing"
    return f" on conflict ({database.named(key)}) {action}"


def table_ddl(database: Database, table: str, schema: pl.Schema, key: Sequence[str]) -> str:
    """The statement that makes a table for rows of this schema."""
    parts = [f"{database.quoted(name)} {database.made(of)}" for name, of in schema.items()]
    parts += [f"primary key ({database.named(key)})"] if key else []
    return f"create table {database.quoted(table)} ({', '.join(parts)})"
