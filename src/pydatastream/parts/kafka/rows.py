"""Rows of Kafka's messages: the value, and as columns what comes beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from pydatastream.core.format import Decoded
from pydatastream.core.times import EVENT_TIME
from pydatastream.parts.decoding.sifting import set_aside
from pydatastream.parts.kafka.library import client
from pydatastream.parts.kafka.portions import Get, Portion
from pydatastream.parts.messaging.inbox import Inbox

DELETED = "deleted"
"""The column that is true in rows of tombstones."""

KEY, HEADERS, TIME = "__key", "__headers", "__time"
"""Columns of a portion."""

Tombstones = Literal["skip", "dead_letter", "delete"]


@dataclass(frozen=True, slots=True)
class Beside:
    """Which columns take what comes beside a value."""

    key: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timestamp: str | None = None
    offset: str | None = None
    tombstones: Tombstones = "skip"

    def schema(self) -> pl.Schema:
        """The columns and their types."""
        texts = [*([self.key] if self.key else []), *self.headers.values()]
        columns: dict[str, pl.DataType] = {name: pl.String() for name in texts}
        columns |= {self.timestamp: EVENT_TIME} if self.timestamp else {}
        columns |= {self.offset: pl.Int64()} if self.offset else {}
        columns |= {DELETED: pl.Boolean()} if self.tombstones == "delete" else {}
        return pl.Schema(columns)

    def gets(self) -> dict[str, Get]:
        """What is asked of each message besides its offset and its value."""
        message = client().Message
        wanted = {
            KEY: message.key if self.key or self.tombstones == "dead_letter" else None,
            HEADERS: message.headers if self.headers else None,
            TIME: message.timestamp if self.timestamp else None,
        }
        return {name: get for name, get in wanted.items() if get is not None}

    def rows(self, messages: Portion, inbox: Inbox) -> Decoded:
        """The rows of messages; those that give none are dead letters."""
        values = messages.values
        if self.tombstones == "delete" or None not in values:
            return self._read(messages, inbox)
        full = messages.of([n for n, value in enumerate(values) if value is not None])
        decoded = self._read(full, inbox)
        if self.tombstones == "skip":
            return decoded
        empty = messages.of([n for n, value in enumerate(values) if value is None])
        return Decoded(decoded.rows, pl.concat([decoded.dead, _tombstones(empty)]))

    def _read(self, messages: Portion, inbox: Inbox) -> Decoded:
        made = {name: self._column(name, messages) for name in inbox.beside}
        return inbox.read(messages.values, messages.place, made)

    def _column(self, name: str, messages: Portion) -> pl.Series:
        if name == DELETED and self.tombstones == "delete":
            return pl.Series([value is None for value in messages.values], dtype=pl.Boolean)
        if name == self.offset:
            return pl.Series(messages.offsets, dtype=pl.Int64)
        if name == self.timestamp:
            return _times(messages.columns[TIME])
        if name == self.key:
            return pl.Series([_bytes(key) for key in messages.columns[KEY]], dtype=pl.Binary)
        header = next(key for key, column in self.headers.items() if column == name)
        last = [dict(some or ()).get(header) for some in messages.columns[HEADERS]]
        return pl.Series([_bytes(one) for one in last], dtype=pl.Binary)


def _tombstones(messages: Portion) -> pl.DataFrame:
    why = "a tombstone: the message has a key and no value"
    told = zip(messages.columns[KEY], messages.offsets, strict=True)
    return set_aside([(_bytes(key) or b"", f"offset {offset}: {why}") for key, offset in told])


def _bytes(text: str | bytes | None) -> bytes | None:
    return text.encode() if isinstance(text, str) else text


def _times(told: list[tuple[int, int]]) -> pl.Series:
    """Times of messages, from pairs of kind and milliseconds; kind 0: there is none."""
    millis = pl.Series([at if kind else None for kind, at in told], dtype=pl.Int64)
    return millis.cast(pl.Datetime("ms", "UTC")).cast(EVENT_TIME)
