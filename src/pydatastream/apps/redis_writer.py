"""Records into Redis from a loop of Python."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Self

import orjson
import polars as pl
from pydantic import Field

from pydatastream.apps.letters import Loop
from pydatastream.apps.reaching import described, own, reached
from pydatastream.connectors.redis_sink import PLACES
from pydatastream.core.dead import dead_rows
from pydatastream.core.errors import ConfigError
from pydatastream.core.sink import Sink, Write
from pydatastream.core.times import Duration, micros
from pydatastream.engines.local import Outlet
from pydatastream.engines.local.events import Slice

STREAM = "pydatastream"
"""The stream that is written where no place is named."""

SERIAL = ("stream", "list", "channel")
"""Places that take whole records; the others need columns."""

PAYLOAD = "payload"

Data = Mapping[str, Any] | str | bytes | pl.DataFrame | Sequence[Mapping[str, Any]] | None


class Writing(Loop):
    """How records are sent."""

    batch_size: int = Field(1, gt=0)
    """So many records are sent at once; those before wait."""
    linger: Duration = "1s"
    """The longest that a record waits for others, as far as more are published."""
    patience: Duration | None = None
    """The longest that a Redis is waited for that is away; without, for ever."""


class RedisWriter:
    """Writes records to Redis: a stream, a list, a channel, keys, hashes or time series.

    A record is in Redis when `publish_data` returns, unless `batch_size` lets records wait for
    others: then `flush`, or `close`, sends what waits. A Redis that is away is waited for, and
    what was under way is sent again: nothing is lost, and in that case something may come twice.

        writer = RedisWriter("redis://localhost:6379/0", stream="readings")
        writer.publish_data({"device_id": "attic", "temperature": 21.5})
    """

    def __init__(self, redis: str | Mapping[str, Any] = "localhost:6379", **options: Any) -> None:
        """Connect; `ConfigError` says what to check if that cannot be done.

        `redis` is an address, or a mapping of options. Options are those of the sink `redis`
        (`stream`, `list`, `channel`, `key`, `hash`, `timeseries`, `ttl`, `maxlen`, `password`,
        `format`, ...) and those of `Writing`. With `format=None` each column is a field.
        """
        given = {"format": "json", **_address(redis), **options}
        self._own = own(Writing, "redis", given, redis)
        place = next((name for name in PLACES if given.get(name)), None)
        given |= {} if place else {"stream": STREAM}
        self._whole = given["format"] == "json" and (place or "stream") in SERIAL
        given |= {"format": "binary"} if self._whole else {}
        self._sink: Sink = described("sink", "redis", given, redis)
        self._letters = self._own.letters("redis-writer")
        self._waiting: list[Any] = []
        self._since = 0.0
        self._outlet: Outlet | None = None
        self._schema = pl.Schema()
        self._stop = threading.Event()
        address = getattr(self._sink, "address", "")
        reached(self._sink, f"is Redis running at {address}? check its address")

    def publish_data(self, data: Data) -> None:
        """Write a record, or many: a dict, JSON text, bytes, a DataFrame, or a list of dicts.

        None is no record. Records that Redis refuses become dead letters.
        """
        if isinstance(data, pl.DataFrame) and not self._whole:
            self.flush()
            self._send(data)
            return
        self._since = self._since if self._waiting else time.monotonic()
        self._waiting += self._records(data)
        waits = time.monotonic() - self._since < micros(self._own.linger) / 1e6
        if not waits or len(self._waiting) >= self._own.batch_size:
            self.flush()

    def flush(self) -> None:
        """Send what waits, and return when Redis has it."""
        if self._waiting:
            waiting = self._waiting
            self._send(_payloads(waiting) if self._whole else _rows(waiting))
            self._waiting = []

    def close(self) -> None:
        """Send what waits, and hang up; it may be done twice."""
        try:
            self.flush()
        finally:
            self._hang_up()
            self._letters.close()

    def stop(self) -> None:
        """Wait no more for a Redis that is away; may be called from another thread."""
        self._stop.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, rows: pl.DataFrame) -> None:
        try:
            refused = self._open(rows.schema).put(rows)
        except BaseException:
            self._hang_up()
            raise
        for one in refused:
            piece = Slice("loop", "", None, {}, time.time_ns() // 1000)
            self._letters.bury(dead_rows(one.rows, one.error), "redis", piece)

    def _open(self, schema: pl.Schema) -> Outlet:
        """What writes rows of this schema; the last one is kept."""
        if self._outlet is None or self._schema != schema:
            self._hang_up()
            self._sink.accepts(schema)
            job = Write(schema, "redis-writer", "redis")
            patience = self._own.patience and micros(self._own.patience) / 1e6
            self._outlet = Outlet(self._sink, job, self._stop, patience or None)
            self._schema = schema
        return self._outlet

    def _hang_up(self) -> None:
        outlet, self._outlet = self._outlet, None
        if outlet is not None:
            outlet.close()

    def _records(self, data: Any) -> list[Any]:
        """Records as they wait: whole ones as bytes, others as dicts."""
        if isinstance(data, pl.DataFrame):
            return _encoded(data)
        one = isinstance(data, Mapping | str | bytes)
        records = [] if data is None else [data] if one else data
        return list(map(_payload if self._whole else _fields, records))


def _payload(record: Any) -> bytes:
    if isinstance(record, bytes):
        return record
    return record.encode() if isinstance(record, str) else orjson.dumps(record, default=str)


def _fields(record: Any) -> dict[str, Any]:
    return dict(record if isinstance(record, Mapping) else orjson.loads(record))


def _payloads(records: list[bytes]) -> pl.DataFrame:
    return pl.DataFrame({PAYLOAD: records}, schema={PAYLOAD: pl.Binary})


def _rows(records: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.from_dicts(records, infer_schema_length=None)


def _encoded(rows: pl.DataFrame) -> list[bytes]:
    messages: list[bytes] = (
        described("format", "json", {}).encoder(rows.schema).encode_messages(rows)
    )
    return messages


def _address(redis: str | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(redis, str):
        return {"url": redis if "://" in redis else f"redis://{redis}"}
    if isinstance(redis, Mapping):
        return dict(redis)
    raise ConfigError(f"redis is an address or a mapping of options, found {redis!r}")
