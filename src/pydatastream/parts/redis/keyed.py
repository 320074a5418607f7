"""The commands that write rows by key: values, hashes, time series."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from pydatastream.core.errors import RowError, SchemaError
from pydatastream.core.format import Encoder
from pydatastream.core.types import need
from pydatastream.parts.redis.keys import keys_of
from pydatastream.parts.redis.wire import Pairs, bulk, cell, joined, varying, word, words
from pydatastream.parts.redis.writes import Packed


class ToKeys:
    """SET: the last row of a key is its value."""

    def __init__(self, template: str, encoder: Encoder, ttl: int | None) -> None:
        self._template, self._encoder = template, encoder
        self._tail = words("PX", ttl) if ttl else b""

    def packed(self, rows: pl.DataFrame) -> Packed:
        keys, payloads = keys_of(self._template, rows), self._encoder.encode_messages(rows)
        head = b"*%d\r\n" % (5 if self._tail else 3) + word("SET")
        pairs = zip(keys.to_list(), payloads, strict=True)
        done = [head + words(key, one) + self._tail for key, one in pairs]
        return b"".join(done), len(done)


class ToHashes:
    """HSET: the last row of a key is its fields; null removes a field."""

    def __init__(
        self, template: str, schema: pl.Schema, encoder: Encoder | None, field: str, ttl: int | None
    ) -> None:
        self._template, self._schema, self._ttl = template, schema, ttl
        self._encoder, self._field = encoder, field
        self._pairs = None if encoder else Pairs(schema)

    def packed(self, rows: pl.DataFrame) -> Packed:
        keyed = rows.with_columns(keys_of(self._template, rows).alias(_KEY))
        key = bulk(pl.col(_KEY))
        done = [joined(keyed, one) for one in self._commands(rows, key)]
        removed = [self._removed(keyed, name) for name in self._nullable(rows)]
        count = len(done) * rows.height + sum(count for _, count in removed)
        return b"".join([*done, *(one for one, _ in removed)]), count

    def _commands(self, rows: pl.DataFrame, key: pl.Expr) -> Sequence[pl.Expr]:
        if self._pairs:
            one = pl.lit(1)
            done = [varying(word("HSET"), 1, (one, key), (self._pairs.count, self._pairs.packed))]
        else:
            encoded = self._encoder.encode_messages(rows) if self._encoder else []
            payloads = pl.Series(encoded, dtype=pl.Binary)
            head = pl.lit(b"*4\r\n" + word("HSET")) + key + pl.lit(word(self._field))
            done = [head + bulk(pl.lit(payloads))]
        if self._ttl:
            done.append(pl.lit(b"*3\r\n" + word("PEXPIRE")) + key + pl.lit(word(self._ttl)))
        return done

    def _nullable(self, rows: pl.DataFrame) -> list[str]:
        return [one.name for one in rows if one.null_count()] if self._pairs else []

    def _removed(self, keyed: pl.DataFrame, name: str) -> Packed:
        """HDEL of a field where the last row of a key has none."""
        last = keyed.unique(_KEY, keep="last", maintain_order=True).filter(pl.col(name).is_null())
        head = pl.lit(b"*3\r\n" + word("HDEL"))
        return joined(last, head + bulk(pl.col(_KEY)) + pl.lit(word(name))), last.height


_KEY = "__redis_key"


class ToSeries:
    """TS.ADD: one sample per row; a sample of the same time is replaced."""

    def __init__(
        self, template: str, schema: pl.Schema, value: str, at: str, ttl: int | None
    ) -> None:
        need(schema, value, at)
        if not schema[value].is_numeric():
            raise SchemaError(f"a time series holds numbers, {value!r} is {schema[value]}")
        if not isinstance(schema[at], pl.Datetime):
            raise SchemaError(f"the time of a sample is a timestamp, {at!r} is {schema[at]}")
        self._template, self._value, self._at = template, value, at
        keep = ("RETENTION", ttl) if ttl else ()
        self._tail = (*keep, "ON_DUPLICATE", "LAST")

    def packed(self, rows: pl.DataFrame) -> Packed:
        rows = rows.filter(pl.col(self._value).is_not_null())
        if rows[self._at].null_count():
            raise RowError(f"a sample has no time: {self._at} is null")
        if not rows[self._value].cast(pl.Float64).is_finite().all():
            raise RowError(f"a time series takes no NaN or infinity: {self._value}")
        stamp = pl.col(self._at).dt.epoch("ms").cast(pl.String).cast(pl.Binary)
        keyed = rows.with_columns(keys_of(self._template, rows).alias(_KEY), stamp.alias(_STAMP))
        count = 4 + len(self._tail)
        head = pl.lit(b"*%d\r\n" % count + word("TS.ADD"))
        sample = bulk(pl.col(_STAMP)) + bulk(cell(rows.schema, self._value))
        commands = head + bulk(pl.col(_KEY)) + sample + pl.lit(words(*self._tail))
        return joined(keyed, commands), rows.height


_STAMP = "__redis_time"
