"""The commands that write rows to a stream, a list or a channel."""

from __future__ import annotations

from typing import Protocol

import polars as pl

from pydatastream.core.format import Encoder
from pydatastream.parts.redis.wire import Pairs, command, joined, many, varying, words

PIECE = 1 << 16
"""Rows that are sent before the replies to those before them are read."""

Packed = tuple[bytes, int]
"""Commands as they go over the wire, and how many they are."""


class Writes(Protocol):
    """Makes commands of rows; `RowError` if a row cannot be written, and then none is."""

    def packed(self, rows: pl.DataFrame) -> Packed: ...


class ToStream:
    """XADD: one entry per row, its columns as fields or encoded in one field."""

    def __init__(
        self, stream: str, schema: pl.Schema, encoder: Encoder | None, field: str, most: int | None
    ) -> None:
        limit = ("MAXLEN", "~", most) if most else ()
        self._head = ("XADD", stream, *limit, "*")
        self._encoder, self._field = encoder, field
        self._pairs = None if encoder else Pairs(schema)

    def packed(self, rows: pl.DataFrame) -> Packed:
        if self._pairs:
            pairs = (self._pairs.count, self._pairs.packed)
            commands = varying(words(*self._head), len(self._head), pairs)
            return joined(rows, commands), rows.height
        payloads = self._encoder.encode_messages(rows) if self._encoder else []
        head = b"*%d\r\n" % (len(self._head) + 2) + words(*self._head, self._field) + b"$"
        done = [b"%b%d\r\n%b\r\n" % (head, len(one), one) for one in payloads]
        return b"".join(done), len(done)


class ToList:
    """RPUSH, many rows at once; with a limit the oldest are dropped."""

    def __init__(self, key: str, encoder: Encoder, most: int | None, ttl: int | None) -> None:
        self._key, self._encoder = key, encoder
        self._after = [("LTRIM", key, -most, -1)] if most else []
        self._expiry = [("PEXPIRE", key, ttl)] if ttl else []

    def packed(self, rows: pl.DataFrame) -> Packed:
        pushed, count = many(("RPUSH", self._key), self._encoder.encode_messages(rows))
        after = [command(*one) for one in (*self._after, *self._expiry)]
        return pushed + b"".join(after), count + len(after)


class ToChannel:
    """PUBLISH: one message per row."""

    def __init__(self, channel: str, encoder: Encoder) -> None:
        self._head, self._encoder = ("PUBLISH", channel), encoder

    def packed(self, rows: pl.DataFrame) -> Packed:
        payloads = self._encoder.encode_messages(rows)
        return b"".join([command(*self._head, one) for one in payloads]), len(payloads)
