"""Redis, written and read by its client library, each value as a person would spell it."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

import polars as pl
from contract_truth import SinkTruth, SourceTruth, Truth
from redis import Redis

from pydatastream.connectors.redis import RedisSource
from pydatastream.connectors.redis_sink import RedisSink
from pydatastream.core.component import Component
from pydatastream.core.types import type_name
from pydatastream.formats.json import JsonFormat

MICROSECOND = timedelta(microseconds=1)


def json_carries(dtype: pl.DataType) -> bool:
    known = pl.String | pl.Boolean | pl.List | pl.Datetime
    return isinstance(dtype, known) or dtype.is_integer()


def spelled(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        return str(value).lower().encode()
    if isinstance(value, timedelta):
        return str(value // MICROSECOND).encode()
    if isinstance(value, date):
        return value.isoformat().encode()
    return (f"{value:f}" if isinstance(value, Decimal) else str(value)).encode()


def understood(raw: bytes | None, dtype: pl.DataType) -> Any:
    if raw is None or dtype == pl.Binary:
        return raw
    text = raw.decode()
    if isinstance(dtype, pl.Datetime):
        return datetime.fromisoformat(text).astimezone(UTC)
    if isinstance(dtype, pl.Duration):
        return int(text) * MICROSECOND
    made = {pl.Date: date.fromisoformat, pl.Decimal: Decimal, pl.Boolean: "true".__eq__}
    if type(dtype) in made:
        return made[type(dtype)](text)
    return int(text) if dtype.is_integer() else float(text) if dtype.is_float() else text


def as_json(row: dict[str, Any]) -> bytes:
    return json.dumps(row, default=str).encode()


class Place(Truth):
    """A database of its own: nobody else uses it in this process."""

    server = "redis_server"

    def __init__(self, place: Any, fixture: Any) -> None:
        super().__init__(place, fixture)
        self.url = fixture("redis_server").environment()["REDIS_URL"]
        self.client = Redis.from_url(self.url, protocol=2)
        self.client.flushall()

    def wrong(self) -> dict[str, Component]:
        one = self.source() if isinstance(self, SourceTruth) else self.sink()
        with_password = self.url.replace("//", "//:guessed@")
        found = {
            r"127\.0\.0\.1:1 ": {"url": "redis://127.0.0.1:1/0"},
            "check user and password": {"url": with_password},
        }
        for place in {"stream", "list"} & one.model_fields_set:
            self.client.set("a-text", "no stream")
            found[f"'a-text' is a string, not a {place}"] = {place: "a-text"}
        return {words: one.model_copy(update=given) for words, given in found.items()}

    def close(self) -> None:
        self.client.close()

    def lose(self) -> None:
        self.client.flushall()


class Fields(Place, SourceTruth):
    """A stream whose entries have a field for each column."""

    def carries(self, dtype: pl.DataType) -> bool:
        return not dtype.is_nested()

    types: ClassVar[dict[str, str]] = {"id": "int"}

    def seed(self, rows: pl.DataFrame) -> pl.DataFrame:
        self.types = {name: type_name(dtype) for name, dtype in rows.schema.items()}
        for row in rows.to_dicts():
            self.put(row)
        return rows

    def put(self, row: dict[str, Any]) -> None:
        told = {name: spelled(value) for name, value in row.items() if value is not None}
        self.client.xadd("in", told)

    def source(self) -> RedisSource:
        return RedisSource(url=self.url, stream="in", stop="latest", schema=self.types)


class Encoded(Fields):
    """A stream whose entries hold a row as JSON."""

    def carries(self, dtype: pl.DataType) -> bool:
        return json_carries(dtype)

    def put(self, row: dict[str, Any]) -> None:
        self.client.xadd("in", {"data": as_json(row)})

    def source(self) -> RedisSource:
        return super().source().model_copy(update={"format": JsonFormat()})


class Values(Encoded):
    """A list of JSON."""

    def put(self, row: dict[str, Any]) -> None:
        self.client.rpush("in", as_json(row))

    def source(self) -> RedisSource:
        form = JsonFormat()
        return RedisSource(url=self.url, list="in", stop="latest", schema=self.types, format=form)


class ToStream(Place, SinkTruth):
    """A stream whose entries have a field for each column."""

    def carries(self, dtype: pl.DataType) -> bool:
        return not dtype.is_nested()

    def sink(self) -> RedisSink:
        return RedisSink(url=self.url, stream="out")

    def visible(self, schema: pl.Schema) -> pl.DataFrame:
        rows = [
            {name: understood(fields.get(name.encode()), dtype) for name, dtype in schema.items()}
            for fields in self.found()
        ]
        return pl.DataFrame(rows, schema=schema)

    def found(self) -> list[dict[bytes, bytes]]:
        return [fields for _, fields in self.client.xrange("out")]


class ToHashes(ToStream):
    """A hash for each row."""

    def sink(self) -> RedisSink:
        return RedisSink(url=self.url, hash="row:{id}")

    def found(self) -> list[dict[bytes, bytes]]:
        keys = sorted(self.client.keys("row:*"), key=lambda key: int(key.partition(b":")[2]))
        return [self.client.hgetall(key) for key in keys]


class ToList(ToStream):
    """A list of JSON."""

    def carries(self, dtype: pl.DataType) -> bool:
        return json_carries(dtype)

    def sink(self) -> RedisSink:
        return RedisSink(url=self.url, list="out", format=JsonFormat())

    def visible(self, schema: pl.Schema) -> pl.DataFrame:
        rows = [json.loads(value) for value in self.client.lrange("out", 0, -1)]
        times = [name for name, dtype in schema.items() if isinstance(dtype, pl.Datetime)]
        for row in rows:
            row.update({n: datetime.fromisoformat(row[n]) for n in times if row[n] is not None})
        return pl.DataFrame(rows, schema=schema)


SOURCES = [Fields, Encoded, Values]
SINKS = [ToStream, ToHashes, ToList]
