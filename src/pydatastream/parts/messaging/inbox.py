"""From messages to rows: the payload is decoded, what came beside it stands in its row."""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Mapping, Sequence

import polars as pl

from pydatastream.core.format import Decoded, Decoder, StreamFormat
from pydatastream.parts.decoding.casting import converted
from pydatastream.parts.decoding.sifting import KEPT, set_aside

Place = Callable[[int], str]
"""Where the n-th of some messages stands, in words: "offset 17"."""

_NONE = pl.DataFrame()

Payloads = Sequence[bytes | None]
"""None: a message without payload, whose row has what came beside it and nulls."""


class Inbox:
    """Makes rows of messages; a message that gives none becomes a dead letter."""

    def __init__(self, form: StreamFormat, schema: pl.Schema, beside: Collection[str] = ()) -> None:
        body = pl.Schema({name: of for name, of in schema.items() if name not in beside})
        self._schema, self._empty = schema, pl.DataFrame(schema=body)
        self._decoder: Decoder | None = form.decoder(body) if body else None
        self._beside = pl.Schema({name: schema[name] for name in beside if name in schema})

    @property
    def beside(self) -> Collection[str]:
        """The columns beside the payload that are wanted."""
        return self._beside.names()

    def read(
        self, payloads: Payloads, place: Place, beside: Mapping[str, pl.Series] | None = None
    ) -> Decoded:
        """Rows in the order of the messages.

        `beside` has one value per message for each column that is wanted beside the payload;
        text comes as text or as bytes, which may turn out to be no text.
        """
        given = [(beside or {})[name].alias(name) for name in self._beside]
        columns, errors = converted(pl.DataFrame(given), self._beside) if given else (_NONE, None)
        if errors is None:
            decoded, died = self._decode(payloads)
            if not died:
                return Decoded(self._joined(decoded.rows, columns))
        return self._apart(payloads, place, columns, errors)

    def _apart(
        self, payloads: Payloads, place: Place, columns: pl.DataFrame, errors: pl.Series | None
    ) -> Decoded:
        why = errors if errors is not None else [None] * len(payloads)
        refused = [(payloads[n] or b"", f"{place(n)}: {one}") for n, one in enumerate(why) if one]
        fit = [n for n, one in enumerate(why) if one is None]
        decoded, died = self._decode([payloads[n] for n in fit])
        told = [
            f"{place(fit[n])}: {one}" for n, one in zip(died, decoded.dead["error"], strict=True)
        ]
        letters = decoded.dead.with_columns(error=pl.Series(told, dtype=pl.String))
        gone = set(died)
        kept = [row for n, row in enumerate(fit) if n not in gone]
        rows = self._joined(decoded.rows, columns[kept] if columns.width else columns)
        return Decoded(rows, pl.concat([set_aside(refused), letters]))

    def _joined(self, rows: pl.DataFrame, columns: pl.DataFrame) -> pl.DataFrame:
        if not columns.width:
            return rows
        return (rows.hstack(columns) if rows.width else columns).select(self._schema.names())

    def _decode(self, payloads: Payloads) -> tuple[Decoded, list[int]]:
        """What the payloads hold, and which of them became dead letters."""
        full = [one for one in payloads if one is not None]
        if self._decoder is None:
            return Decoded(self._empty), []
        decoded = self._decoder.decode_messages(full)
        died = _died(self._decoder, full, decoded)
        return (decoded, died) if len(full) == len(payloads) else _spread(payloads, decoded, died)


def _spread(payloads: Payloads, decoded: Decoded, died: list[int]) -> tuple[Decoded, list[int]]:
    """The rows at the places of their messages, nulls where there was no payload."""
    places = [n for n, one in enumerate(payloads) if one is not None]
    gone = {places[n] for n in died}
    numbers = iter(range(decoded.rows.height))
    picks = [
        None if one is None else next(numbers) for n, one in enumerate(payloads) if n not in gone
    ]
    rows = decoded.rows.select(pl.all().gather(pl.Series(picks, dtype=pl.Int64)))
    return Decoded(rows, decoded.dead), sorted(gone)


def _died(decoder: Decoder, messages: Sequence[bytes], decoded: Decoded) -> list[int]:
    """Which messages became dead letters: each gives either one row or one letter."""
    if not decoded.dead.height:
        return []
    letters = {_raw(*one) for one in decoded.dead.select("payload", "encoding").rows()}
    found = [n for n, one in enumerate(messages) if one[:KEPT].rstrip(b"\r\n") in letters]
    return found if len(found) == decoded.dead.height else _halved(decoder, messages, 0)


def _raw(payload: str, encoding: str) -> bytes:
    raw = base64.b64decode(payload) if encoding == "base64" else payload.encode()
    return raw.rstrip(b"\r\n")


def _halved(decoder: Decoder, messages: Sequence[bytes], first: int) -> list[int]:
    """As `_died`, where the letters do not tell the messages apart."""
    decoded = decoder.decode_messages(messages)
    if not decoded.dead.height or not decoded.rows.height:
        return list(range(first, first + decoded.dead.height))
    half = len(messages) // 2
    later = _halved(decoder, messages[half:], first + half)
    return [*_halved(decoder, messages[:half], first), *later]
