"""Write rows to Redis: a stream, a list, a channel, keys, hashes or time series."""

from __future__ import annotations

from string import Formatter
from typing import ClassVar

import polars as pl
from pydantic import Field, model_validator

from pydatastream.core.errors import ConfigError
from pydatastream.core.format import Encoder
from pydatastream.core.sink import Delivery, View, Write, Writer
from pydatastream.core.times import Duration, micros
from pydatastream.parts.messaging.inbox import Inbox
from pydatastream.parts.messaging.messages import MessageSink
from pydatastream.parts.redis.added import Added
from pydatastream.parts.redis.entries import Columns, Encoded
from pydatastream.parts.redis.keyed import ToHashes, ToKeys, ToSeries
from pydatastream.parts.redis.keys import beside, key_of, tag_of
from pydatastream.parts.redis.line import Line, line_to
from pydatastream.parts.redis.place import RedisPlace
from pydatastream.parts.redis.transaction import Transaction
from pydatastream.parts.redis.view import StreamView
from pydatastream.parts.redis.writes import ToChannel, ToList, ToStream, Writes
from pydatastream.parts.windows.varying import varies

PLACES = ("stream", "list", "channel", "key", "hash", "timeseries")


class RedisSink(RedisPlace, MessageSink):
    """Write rows to Redis: a stream, a list, a channel, keys, hashes or time series.

    With `format:` a row is encoded in one field of an entry or of a hash; without it each column
    is a field, null has none, and bytes stay as they are. Values of a list, of keys and messages
    of a channel are rows in `format`, json unless named.

    Delivery: exactly once with a checkpoint. The rows of an epoch and the marker, in the key
    {<key>}:pds:<pipeline>:<output> of the same slot, are written by one transaction (WATCH,
    MULTI, EXEC), during which the server does nothing else: a shorter `interval` makes it
    shorter. Whoever opens the sink last owns the marker, and the one before can no longer write.
    A marker that went back, as after a fail-over that lost data, stops the run; to start afresh,
    delete the marker. A channel is at most once: it keeps nothing. Without a checkpoint rows are
    added as they come. The server must keep what it has answered: appendonly yes, appendfsync
    always; with replicas, a fail-over may lose the last epochs, which is then noticed.
    """

    delivery: ClassVar[Delivery] = varies(
        Delivery.EXACTLY_ONCE,
        lambda sink: Delivery.AT_MOST_ONCE if sink.channel else Delivery.EXACTLY_ONCE,
    )
    remote: ClassVar[bool] = True
    primary: ClassVar[str | None] = "stream"
    example: ClassVar[str] = "{type: redis, url: redis://localhost:6379/0, stream: readings}"

    stream: str | None = None
    """The key of a stream: one entry per row."""
    list: str | None = None
    """The key of a list: rows are added at its end."""
    channel: str | None = None
    """A channel: whoever listens hears the rows."""
    key: str | None = None
    """The key of each row, such as "sensor:{device_id}": its last row is the value."""
    hash: str | None = None
    """The key of each row's hash, such as "sensor:{device_id}"; null removes a field."""
    timeseries: str | None = None
    """The key of each row's time series, such as "heat:{device_id}"."""
    value: str | None = None
    """The column with the value of a sample, for `timeseries`."""
    at: str | None = None
    """The column with the time of a sample, for `timeseries`."""
    field: str = "data"
    """The field of an entry that holds the encoded row, with `format`."""
    maxlen: int | None = Field(None, gt=0)
    """About how many entries a stream, or exactly how many values a list keeps at most."""
    ttl: Duration | None = None
    """How long a list, a key, a hash, or a sample is kept after it was written."""

    @model_validator(mode="after")
    def _fits(self) -> RedisSink:
        given = [name for name in PLACES if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(f"one of {', '.join(PLACES)} is needed")
        if given == ["timeseries"] and not (self.value and self.at):
            raise ValueError("`timeseries` needs `value` and `at`: columns with value and time")
        if self.maxlen and given[0] not in ("stream", "list"):
            raise ValueError("`maxlen` is for a stream or a list")
        if self.ttl and given[0] in ("stream", "channel"):
            raise ValueError("`ttl` is for keys; a stream has `maxlen`")
        return self

    def format_hint(self) -> str | None:
        """Columns are fields unless a format is named, where there are fields."""
        return "json" if self.list or self.channel or self.key else None

    def accepts(self, schema: pl.Schema) -> None:
        """Raise `SchemaError` if a row of this schema cannot be written."""
        self._writes(schema)
        if self._is_template():
            key_of(self._place(), schema)

    def check(self) -> None:
        """Connect, and look at the key."""
        with line_to(self, self._slot()) as line:
            self._expect(line)

    def open(self, job: Write) -> Writer:
        """Start writing; `ConfigError` for what is not possible in this Redis."""
        if self.cluster and self._is_spread():
            tag = f"{{{{{self._place().partition(':')[0]}}}}}:..."
            what = "the keys of a template stand on several nodes of a cluster"
            raise ConfigError(what, hint=f'a part in double braces keeps them together: "{tag}"')
        line = Line(self, self._marker(job.pipeline, job.sink))
        writes = self._writes(job.schema)
        try:
            self._expect(line)
            if job.transactional:
                key = self._marker(job.pipeline, job.sink)
                return Transaction(line, writes, key, job, lambda: self._expect(line))
            return Added(line, writes)
        except BaseException:
            line.close()
            raise

    def view(self, schema: pl.Schema, rows: int, newest: str | None) -> View:
        """Look at the newest entries of a stream."""
        if not self.stream:
            return super().view(schema, rows, newest)
        entries = Columns(schema) if self.format is None else self._encoded(schema)
        return StreamView(Line(self, self.stream), self.stream, entries, schema, rows)

    def _encoded(self, schema: pl.Schema) -> Encoded:
        return Encoded(Inbox(self.form(), schema), self.field)

    def _writes(self, schema: pl.Schema) -> Writes:
        ttl = micros(self.ttl) // 1000 if self.ttl else None
        if self.timeseries and self.value and self.at:
            return ToSeries(self.timeseries, schema, self.value, self.at, ttl)
        if self.stream:
            return ToStream(self.stream, schema, self._encoder(schema), self.field, self.maxlen)
        if self.hash:
            return ToHashes(self.hash, schema, self._encoder(schema), self.field, ttl)
        encoder = self.form().encoder(schema)
        if self.list:
            return ToList(self.list, encoder, self.maxlen, ttl)
        if self.channel:
            return ToChannel(self.channel, encoder)
        return ToKeys(self.key or "", encoder, ttl)

    def _encoder(self, schema: pl.Schema) -> Encoder | None:
        return self.form().encoder(schema) if self.format else None

    def _expect(self, line: Line) -> None:
        kind = "stream" if self.stream else "list" if self.list else None
        if kind:
            line.expect(self._place(), kind)
        else:
            line.ask("PING")

    def _place(self) -> str:
        return next(str(value) for name in PLACES if (value := getattr(self, name)))

    def _is_template(self) -> bool:
        return bool(self.key or self.hash or self.timeseries)

    def _slot(self) -> str:
        """Text with the hash tag of every key."""
        if not self._is_template():
            return self._place()
        return "".join(before for before, *_ in Formatter().parse(self._place()))

    def _is_spread(self) -> bool:
        """Whether keys differ in the part that says on which node they are."""
        named = any(name is not None for _, name, *_ in Formatter().parse(self._place()))
        return self._is_template() and named and tag_of(self._slot()) is None

    def _marker(self, pipeline: str, sink: str) -> str:
        return beside(self._slot(), pipeline, sink)
