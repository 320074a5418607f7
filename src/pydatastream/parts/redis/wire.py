"""Commands as Redis reads them, made for all rows at once (RESP, redis.io/docs/reference)."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from pydatastream.core.errors import SchemaError
from pydatastream.parts.decoding.wire import written

CHUNK = 1000
"""Values in one command that takes many."""


def word(value: str | bytes | int) -> bytes:
    r"""One word of a command.

    >>> word("XADD")
    b'$4\r\nXADD\r\n'
    """
    raw = value if isinstance(value, bytes) else str(value).encode()
    return b"$%d\r\n%s\r\n" % (len(raw), raw)


def words(*values: str | bytes | int) -> bytes:
    """Several words of a command."""
    return b"".join(map(word, values))


def command(*values: str | bytes | int) -> bytes:
    """A whole command."""
    return b"*%d\r\n" % len(values) + words(*values)


def bulk(values: pl.Expr) -> pl.Expr:
    """Binary values as words; null stays null."""
    return pl.lit(b"$") + _number(values.bin.size()) + pl.lit(b"\r\n") + values + pl.lit(b"\r\n")


def _number(values: pl.Expr) -> pl.Expr:
    return values.cast(pl.String).cast(pl.Binary)


def cell(schema: pl.Schema, name: str) -> pl.Expr:
    """A column as bytes: text as in JSON without quotes, bytes as they are."""
    dtype = schema[name]
    if dtype.is_nested() or dtype == pl.Object:
        what = f"a redis field cannot hold column {name!r} of type {dtype}"
        raise SchemaError(what, hint="format: json, which writes the row into one field")
    if dtype == pl.Binary:
        return pl.col(name)
    return written(pl.col(name), dtype).cast(pl.String).cast(pl.Binary)


class Pairs:
    """Columns as pairs of field and value; null leaves its pair out."""

    def __init__(self, schema: pl.Schema) -> None:
        self._cells = [(name, cell(schema, name)) for name in schema]

    @property
    def packed(self) -> pl.Expr:
        """The words; a row of nulls has one empty pair, as redis takes no entry without any."""
        pairs = [(pl.lit(word(name)) + bulk(value)).fill_null(b"") for name, value in self._cells]
        joined = pairs[0]
        for pair in pairs[1:]:
            joined = joined + pair
        return pl.when(self._filled > 0).then(joined).otherwise(pl.lit(words("", "")))

    @property
    def count(self) -> pl.Expr:
        """How many words there are."""
        return self._filled.clip(1) * 2

    @property
    def _filled(self) -> pl.Expr:
        there = [value.is_not_null().cast(pl.Int64) for _, value in self._cells]
        return pl.sum_horizontal(there)


def varying(head: bytes, fixed: int, *rest: tuple[pl.Expr, pl.Expr]) -> pl.Expr:
    """Commands that begin with `fixed` words in `head`; the rest is counts and packed words."""
    counts, packed = pl.lit(fixed), pl.lit(head)
    for count, part in rest:
        counts, packed = counts + count, packed + part
    return pl.lit(b"*") + _number(counts) + pl.lit(b"\r\n") + packed


def joined(rows: pl.DataFrame, commands: pl.Expr) -> bytes:
    """The commands of all rows, one after the other."""
    return b"".join(rows.select(commands.alias("command")).to_series().to_list())


def many(head: Sequence[str], values: Sequence[bytes]) -> tuple[bytes, int]:
    """Commands that take many values each, and how many commands those are."""
    chunks = [values[at : at + CHUNK] for at in range(0, len(values), CHUNK)]
    return b"".join(command(*head, *chunk) for chunk in chunks), len(chunks)
