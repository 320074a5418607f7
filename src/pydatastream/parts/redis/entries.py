"""Entries of a Redis stream as rows: one field holds the row, or each column has its field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import orjson
import polars as pl

from pydatastream.core.format import Decoded
from pydatastream.parts.decoding.casting import converted
from pydatastream.parts.decoding.sifting import set_aside
from pydatastream.parts.messaging.inbox import Inbox
from pydatastream.parts.redis.fields import Fields, as_text, columns_of, mapped, values_of

Entry = tuple[bytes, Fields]
"""Its id and its fields."""


class Entries(Protocol):
    """Makes rows of entries, in their order; an entry that gives none is a dead letter."""

    def read(self, entries: Sequence[Entry]) -> Decoded: ...


class Encoded:
    """One field holds the whole row."""

    def __init__(self, inbox: Inbox, field: str) -> None:
        self._inbox, self._field = inbox, field

    def read(self, entries: Sequence[Entry]) -> Decoded:
        values = values_of([fields for _, fields in entries], self._field.encode())
        if None not in values:
            return self._inbox.read(values, lambda n: _id(entries[n]))
        pairs = list(zip(entries, values, strict=True))
        lacks = f"there is no field {self._field!r}"
        without = [(_shown(entry), f"{_id(entry)}: {lacks}") for entry, one in pairs if one is None]
        found = self.read([entry for entry, one in pairs if one is not None])
        return Decoded(found.rows, pl.concat([set_aside(without), found.dead]))


class Columns:
    """Each column has a field of its own."""

    def __init__(self, schema: pl.Schema) -> None:
        self._schema = schema

    def read(self, entries: Sequence[Entry]) -> Decoded:
        raw = columns_of([fields for _, fields in entries], self._schema.names())
        taken = [one if self._schema[one.name] == pl.Binary else as_text(one) for one in raw]
        rows, misfits = converted(pl.DataFrame(taken), self._schema)
        faults = [
            why for pair in zip(raw, taken, strict=True) if (why := _no_text(*pair)) is not None
        ]
        faults += [] if misfits is None else [misfits]
        if not faults:
            return Decoded(rows)
        why = pl.select(pl.coalesce(faults)).to_series()
        refused = why.is_not_null().arg_true()
        dead = [(_shown(entries[n]), f"{_id(entries[n])}: {why[n]}") for n in refused]
        return Decoded(rows.filter(why.is_null()), set_aside(dead))


def _no_text(raw: pl.Series, taken: pl.Series) -> pl.Series | None:
    if taken.null_count() == raw.null_count():
        return None
    lost = taken.is_null() & raw.is_not_null()
    return pl.select(pl.when(lost).then(pl.lit(f"{raw.name}: the value is not UTF-8"))).to_series()


def _id(entry: Entry) -> str:
    return entry[0].decode()


def _shown(entry: Entry) -> bytes:
    """An entry as JSON, with what is no text escaped."""
    pairs = mapped(entry[1]).items()
    return orjson.dumps({_escaped(name): _escaped(value) for name, value in pairs})


def _escaped(raw: bytes) -> str:
    return raw.decode(errors="backslashreplace")
