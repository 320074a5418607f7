"""Read rows from a Redis stream, list or channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import polars as pl
from pydantic import model_validator

from pydatastream.core.errors import ConfigError, SchemaError
from pydatastream.core.source import Read, Reader
from pydatastream.core.times import Duration, micros
from pydatastream.parts.messaging.messages import MessageSource
from pydatastream.parts.redis.entries import Columns, Encoded, Entries, Entry
from pydatastream.parts.redis.fields import schema_of_fields, values_of
from pydatastream.parts.redis.group import GroupReader
from pydatastream.parts.redis.line import Line, line_to
from pydatastream.parts.redis.lists import ChannelReader, ListReader
from pydatastream.parts.redis.log import LogReader
from pydatastream.parts.redis.pending import Group
from pydatastream.parts.redis.place import RedisPlace
from pydatastream.parts.redis.stream import Facts, expect_id, lag_of
from pydatastream.parts.windows.varying import varies

SAMPLE = 1000
"""Entries looked at to infer a schema."""


class RedisSource(RedisPlace, MessageSource):
    """Read rows from a Redis stream, list or channel.

    With `format:` a row is encoded in one field of an entry; without it each column has a field
    of its own, and a field that an entry lacks is null. Values of a list and messages of a
    channel are rows in `format`, json unless named.

    Delivery: a stream is replayable: an offset is the id of the last entry, and how many were
    read, so that entries trimmed before they were read are counted and stop the run, or with
    `accept_gap` are logged (from Redis 7 on, and where no single entries are
    deleted). With `group` several workers share a stream; each needs a `consumer` name that it
    keeps. What a worker has read stays pending until its epoch is published, so it is read again
    after a crash; what is pending for longer than `claim_after` another worker takes over. Who
    died and comes back goes on, and leaves to the others what they took; an output that had shown
    some of it, of which Redis had not yet heard, has that twice. So it is for who stands still for
    so long. A list is replayable too: values
    are removed, and counted in the key {<list>}:pds:read:<list>, when their epoch is published;
    others may only push at its end. A channel keeps nothing: what is published while nobody
    listens is lost; with a checkpoint, what was heard is spooled. The server must keep what it
    has answered: appendonly yes, appendfsync always.
    """

    replayable: ClassVar[bool] = varies(True, lambda source: source.channel is None)
    primary: ClassVar[str | None] = "stream"
    example: ClassVar[str] = (
        "{type: redis, url: redis://localhost:6379/0, stream: readings, "
        "schema: {device_id: string, temperature: float}}"
    )

    stream: str | None = None
    """The key of a stream."""
    list: str | None = None
    """The key of a list, read from its head."""
    channel: str | None = None
    """A channel of publish and subscribe; with *, ? or [ a pattern of channels."""
    group: str | None = None
    """The group of workers that share the stream; it is made if it is not there."""
    consumer: str | None = None
    """The name of this worker within the group, the same after a restart."""
    claim_after: Duration = "5m"
    """Take over what another worker of the group has held for so long."""
    field: str = "data"
    """The field of an entry that holds the encoded row, with `format`."""
    start: str = "earliest"
    """Where a stream is begun: earliest, latest, or behind an id."""
    accept_gap: bool = False
    """Where a stream was trimmed before it was read, go on with what is left, and log it."""
    stop: Literal["latest"] | None = None
    """latest: end at what is there at the start; by default the rows never end."""

    @model_validator(mode="after")
    def _fits(self) -> RedisSource:
        given = [name for name in ("stream", "list", "channel") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError("one of `stream`, `list` and `channel` is needed")
        if (self.group is None) != (self.consumer is None):
            raise ValueError("`group` and `consumer` go together: a name for this worker")
        if self.group and not self.stream:
            raise ValueError("only a stream has a `group`")
        if self.accept_gap and (self.group or not self.stream):
            raise ValueError("`accept_gap` is for a stream without group")
        if self.stop and (self.group or self.channel):
            raise ValueError("`stop: latest` is for a stream without group, or a list")
        try:
            expect_id(self.start)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def bounded(self) -> bool:
        """Whether it ends."""
        return self.stop is not None

    def format_hint(self) -> str | None:
        """In a stream, columns are fields unless a format is named."""
        return None if self.stream else "json"

    def check(self) -> None:
        """Connect, and look at the key."""
        with line_to(self, self._key()) as line:
            if self.stream or self.list:
                line.expect(self._key(), "stream" if self.stream else "list")
            else:
                line.ask("PING")

    def gauges(self) -> dict[str, float]:
        """Of a stream its length, entries ever added, and for a group those not yet read."""
        if not self.stream:
            return {}
        with line_to(self, self.stream) as line:
            told = line.ask_all(("XINFO", "STREAM", self.stream), ("XINFO", "GROUPS", self.stream))
        facts = Facts.of(told[0])
        found = {"length": float(facts.length)}
        found |= {"added": float(facts.added)} if facts.added is not None else {}
        return found | (lag_of(told[1], self.group) if self.group else {})

    def infer(self) -> pl.Schema:
        """The schema of the first entries."""
        if self.stream is None or self.format is not None:
            return super().infer()
        entries = self._first()
        if not entries:
            what = f"stream {self.stream!r} has no entry to infer a schema from"
            raise SchemaError(what, hint="declare `schema:`")
        return schema_of_fields([fields for _, fields in entries])

    def sample(self) -> Sequence[bytes]:
        """The first payloads."""
        if self.stream:
            entries = [fields for _, fields in self._first()]
            found = values_of(entries, self.field.encode())
            return [one for one in found if one is not None]
        if self.list:
            with line_to(self, self._key()) as line:
                line.expect(self.list, "list")
                values: Sequence[bytes] = line.ask("LRANGE", self.list, 0, SAMPLE - 1)
                return values
        return super().sample()

    def partitions(self) -> Sequence[str]:
        """There is one."""
        return [self._key()]

    def open(self, partition: str, job: Read) -> Reader:
        """Start reading."""
        if self.channel:
            return ChannelReader(self, self.channel, self.inbox(job.schema), job)
        line = Line(self, partition)
        try:
            line.expect(partition, "stream" if self.stream else "list")
        except BaseException:
            line.close()
            raise
        return self._reader(line, partition, job)

    def _reader(self, line: Line, key: str, job: Read) -> Reader:
        if self.list:
            return ListReader(line, key, self.inbox(job.schema), job, self.bounded)
        entries = self._entries(job.schema)
        if self.group and self.consumer:
            group = Group(line, key, self.group, self.consumer)
            return GroupReader(group, entries, job, self.start, micros(self.claim_after) / 1e6)
        return LogReader(line, key, entries, job, self.start, self.bounded, self.accept_gap)

    def _entries(self, schema: pl.Schema) -> Entries:
        return Columns(schema) if self.format is None else Encoded(self.inbox(schema), self.field)

    def _first(self) -> Sequence[Entry]:
        with line_to(self, self._key()) as line:
            line.expect(self._key(), "stream")
            found: Sequence[Entry] = line.ask("XRANGE", self._key(), "-", "+", "COUNT", SAMPLE)
            return found

    def _key(self) -> str:
        return self.stream or self.list or self.channel or ""
