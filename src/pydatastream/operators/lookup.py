"""Add columns from a file, found by a key."""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import polars as pl
from polars.exceptions import PolarsError
from pydantic import Field, field_validator

from pydatastream.core.batch import Emission, Refused
from pydatastream.core.errors import ConfigError, RetryLater, SchemaError
from pydatastream.core.operator import Flow, Kernel, Operator
from pydatastream.core.state import State
from pydatastream.core.types import need, type_name

CHECK_EVERY = 1.0
"""Seconds between two looks at the file."""

FOUND = "__found"
ENDINGS = (".csv", ".json", ".jsonl", ".ndjson", ".parquet")
_Stamp = tuple[int, int, int]


class Lookup(Operator):
    """Add columns from a file (CSV, JSON or Parquet, by its ending), found by a key.

    The file is held in memory, and read again when it changes, which is looked for once a
    second: replace it by renaming, so that it is never seen half written. A file that cannot be
    used while running (unreadable, other columns, a key twice) is waited for. In CSV, key columns
    are read with the type that the stream has, so "007" stays what it is. A null key finds
    nothing. An epoch that is repeated after a crash sees the file as it is then; the state
    holds the SHA-256 of the content last used.
    """

    remembers: ClassVar[bool] = False
    example: ClassVar[str] = "- lookup: {path: devices.csv, on: device_id, columns: [city]}"

    path: str
    """The file: .csv, .json (an array, or lines), .jsonl, .ndjson or .parquet."""
    on: str | dict[str, str] = Field(min_length=1)
    """The column that both have, or a mapping from the stream's columns to the file's."""
    columns: list[str] | None = None
    """The columns to add; without it, all but the key."""
    unmatched: Literal["keep", "drop", "dead_letter"] = "keep"
    """What becomes of a row whose key is not in the file: keep gives it nulls."""

    @field_validator("path")
    @classmethod
    def _readable(cls, path: str) -> str:
        if Path(path).suffix not in ENDINGS:
            raise ValueError(f"{path!r} does not end in one of: {', '.join(ENDINGS)}")
        return path

    def keys(self) -> dict[str, str]:
        """The stream's key columns and the file's."""
        return {self.on: self.on} if isinstance(self.on, str) else self.on

    def flow(self, *inputs: Flow) -> Flow:
        """What comes out; it reads the file, for its columns and their types."""
        flow = inputs[0]
        added = _load(self, flow.schema).added()
        return Flow(pl.Schema({**flow.schema, **added}), flow.time)

    def reads(self, needed: frozenset[str] | None) -> frozenset[str] | None:
        return None if needed is None else needed - set(self.columns or ()) | frozenset(self.keys())

    def open(self, state: State, *inputs: Flow) -> Kernel:
        return _Lookup(self, state, inputs[0].schema)


@dataclass(frozen=True, slots=True)
class _Table:
    """The file's rows: key columns by the stream's names, then the columns to add."""

    rows: pl.DataFrame
    keys: tuple[str, ...]
    digest: str
    stamp: _Stamp

    def added(self) -> dict[str, pl.DataType]:
        """The columns to add, with their types."""
        return {name: of for name, of in self.rows.schema.items() if name not in self.keys}


class _Lookup(Kernel):
    def __init__(self, step: Lookup, state: State, schema: pl.Schema) -> None:
        self._step, self._state, self._schema = step, state, schema
        self._table = _load(step, schema)
        self._checked = time.monotonic()

    def on_batch(self, rows: pl.DataFrame, port: int = 0) -> Emission:  # noqa: ARG002
        self._refresh()
        table = self._table.rows.with_columns(pl.lit(True).alias(FOUND))
        joined = rows.join(table, on=self._table.keys, how="left", maintain_order="left")
        found = joined[FOUND].is_not_null()
        self._state.values["file"] = self._table.digest
        yield from self._sorted_out(rows, joined.drop(FOUND), found)

    def _sorted_out(self, rows: pl.DataFrame, joined: pl.DataFrame, found: pl.Series) -> Emission:
        keep = self._step.unmatched
        yield joined if keep == "keep" else joined.filter(found)
        if keep == "dead_letter" and not found.all():
            keys = ", ".join(self._table.keys)
            yield Refused(rows.filter(~found), f"{self._step.path} has no row for this {keys}")

    def _refresh(self) -> None:
        if time.monotonic() - self._checked < CHECK_EVERY:
            return
        try:
            if _stamp(Path(self._step.path).stat()) != self._table.stamp:
                self._table = self._reloaded()
        except (OSError, ConfigError) as error:
            what = error.what if isinstance(error, ConfigError) else f"{self._step.path}: {error}"
            raise RetryLater(f"waiting for a usable file: {what}", after=CHECK_EVERY) from None
        self._checked = time.monotonic()

    def _reloaded(self) -> _Table:
        table = _load(self._step, self._schema)
        if table.added() != self._table.added():
            raise ConfigError(f"{self._step.path} now has other columns than when the run began")
        return table


def _load(step: Lookup, schema: pl.Schema) -> _Table:
    """Read and check the file; `ConfigError` says what is wrong with it."""
    keys = step.keys()
    need(schema, *keys)
    content, stamp = _content(step.path)
    types = {theirs: schema[ours] for ours, theirs in keys.items()}
    rows = _parsed(step.path, content, types)
    added = step.columns or [name for name in rows.columns if name not in types]
    _check_columns(step.path, rows.schema, types, added)
    _check_new(step.path, schema, added)
    chosen = [pl.col(theirs).alias(ours).cast(schema[ours]) for ours, theirs in keys.items()]
    rows = rows.select(*chosen, *added).drop_nulls(list(keys))
    _check_unique(step.path, rows, list(keys))
    return _Table(rows, tuple(keys), hashlib.sha256(content).hexdigest(), stamp)


def _content(path: str) -> tuple[bytes, _Stamp]:
    try:
        with Path(path).open("rb") as file:
            return file.read(), _stamp(os.fstat(file.fileno()))
    except OSError as error:
        raise ConfigError(f"the lookup file {path} cannot be read: {error.strerror}") from None


def _stamp(status: os.stat_result) -> _Stamp:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _parsed(path: str, content: bytes, types: Mapping[str, pl.DataType]) -> pl.DataFrame:
    try:
        return _read(Path(path).suffix, content, types)
    except PolarsError as error:
        first = str(error).splitlines()[0]
        raise ConfigError(f"the lookup file {path} cannot be read: {first}") from None


def _read(ending: str, content: bytes, types: Mapping[str, pl.DataType]) -> pl.DataFrame:
    data = io.BytesIO(content)
    if ending == ".parquet":
        return pl.read_parquet(data)
    if ending == ".csv":
        return pl.read_csv(data, schema_overrides=types, infer_schema_length=None)
    if content.lstrip().startswith(b"["):
        return pl.read_json(data, infer_schema_length=None)
    return pl.read_ndjson(data, infer_schema_length=None)


def _check_columns(
    path: str, found: pl.Schema, types: Mapping[str, pl.DataType], added: Sequence[str]
) -> None:
    try:
        need(found, *types, *added)
    except SchemaError as error:
        raise SchemaError(f"the lookup file {path} has {error.what}", hint=error.hint) from None
    for name, ours in types.items():
        theirs = found[name]
        if theirs != ours and not (theirs.is_integer() and ours.is_integer()):
            both = f"{type_name(theirs)} in {path} and {type_name(ours)} in the stream"
            raise SchemaError(f"key {name!r} is {both}", hint="a `cast` step before")


def _check_new(path: str, schema: pl.Schema, added: Sequence[str]) -> None:
    for name in added:
        if name in schema:
            raise SchemaError(
                f"{path} would replace column {name!r} of the stream",
                hint="choose others with `columns: [...]`, or rename that of the stream before",
            )


def _check_unique(path: str, rows: pl.DataFrame, keys: list[str]) -> None:
    twice = rows.filter(pl.struct(keys).is_duplicated())
    if twice.height:
        key = ", ".join(map(str, twice.select(keys).row(0)))
        raise ConfigError(f"the lookup file {path} has the key {key} more than once")
