"""Read messages from a queue of SQS."""

from __future__ import annotations

import base64
import binascii
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from pydatastream.core.batch import Batch, Offset
from pydatastream.core.errors import SchemaError
from pydatastream.core.source import Read, Reader
from pydatastream.parts.aws.queue_messages import Message, SqsMessages
from pydatastream.parts.aws.queues import SqsQueue
from pydatastream.parts.messaging.messages import MessageSource

PATIENCE = 0.1
"""Seconds to wait for messages before saying that nothing has come."""

QUIET = 3.0
"""Seconds without a message after which a queue counts as empty."""


class SqsSource(SqsQueue, MessageSource):
    """Read messages from a queue of Amazon SQS, and delete them when they are safe.

    Delivery: not replayable. With a checkpoint, what was received is spooled and synced, then
    deleted from the queue; a message that comes again, as its deletion was lost, is known by its
    id as long as the spool keeps it, and is deleted without being processed. Until then it is
    kept invisible to others, renewed at a third of the queue's own visibility timeout. Without a
    checkpoint messages are deleted when they are in every sink, and a crash makes them come
    again. The queue's retention must be longer than the longest stop.
    """

    replayable: ClassVar[bool] = False
    primary: ClassVar[str | None] = "queue"
    example: ClassVar[str] = "{type: sqs, queue: readings, region: eu-central-1, format: json}"

    message_id: str | None = None
    """The column for the id that SQS gave the message."""
    group: str | None = None
    """The column for the message group of a FIFO queue."""
    receivers: int = Field(4, ge=1, le=64)
    """Calls that wait for messages at a time, of at most ten messages each."""
    stop: Literal["empty"] | None = None
    """End when the queue gives no more for some seconds; by default it never ends."""

    @property
    def bounded(self) -> bool:
        """Whether reading ends when the queue is empty."""
        return self.stop is not None

    def beside(self) -> pl.Schema:
        """The columns that are not in the payload."""
        names = (self.message_id, self.group)
        return pl.Schema({name: pl.String() for name in names if name})

    def check(self) -> None:
        """Ask for the queue; `ConfigError` says what is wrong."""
        self.door().number("VisibilityTimeout", 30)

    def partitions(self) -> Sequence[str]:
        """There is one."""
        return ["queue"]

    def sample(self) -> Sequence[bytes]:
        """A queue is not looked into: who looks hides a message from the others."""
        raise SchemaError(
            "sqs needs a `schema:`: looking at a message would hide it", hint="schema: {id: int}"
        )

    def open(self, partition: str, job: Read) -> Reader:  # noqa: ARG002 - there is but one
        """Start receiving."""
        known = (one for offset in job.spooled for one in offset["ids"])
        return SqsReader(self, job, SqsMessages(self.door(), self.receivers, known))

    def payload(self, body: str) -> bytes:
        """The bytes that a message stands for."""
        if not self.base64:
            return body.encode(errors="surrogatepass")
        try:
            return base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError):
            return body.encode()  # the format will say that it cannot read it


class SqsReader:
    """Reads what has come; an offset names the messages of its batch."""

    def __init__(self, source: SqsSource, job: Read, messages: SqsMessages) -> None:
        self._source, self._job, self._messages = source, job, messages
        self._inbox = source.inbox(job.schema)
        self._count = 0
        self._given: deque[tuple[int, list[str]]] = deque()

    def __iter__(self) -> Iterator[Batch | None]:
        while True:
            found = self._messages.take(self._job.rows, PATIENCE)
            if found:
                yield self._batch(found)
            elif self._source.bounded and self._is_quiet():
                return
            else:
                yield None

    def commit(self, offset: Offset) -> None:
        """Delete the messages up to here."""
        ids: list[str] = []
        while self._given and self._given[0][0] <= offset["n"]:
            ids += self._given.popleft()[1]
        self._messages.safe(ids)

    def close(self) -> None:
        """Stop receiving; what was not committed comes again."""
        self._messages.close()

    def _is_quiet(self) -> bool:
        return time.monotonic() - self._messages.quiet_since > QUIET

    def _batch(self, found: list[Message]) -> Batch:
        ids = [one["MessageId"] for one in found]
        payloads = [self._source.payload(one["Body"]) for one in found]
        decoded = self._inbox.read(payloads, lambda n: f"message {ids[n]}", self._beside(found))
        self._count += len(found)
        self._given.append((self._count, ids))
        return Batch(decoded.rows, {"n": self._count, "ids": ids}, decoded.dead)

    def _beside(self, found: list[Message]) -> dict[str, pl.Series]:
        groups = [one.get("Attributes", {}).get("MessageGroupId") for one in found]
        values = {self._source.message_id: [one["MessageId"] for one in found]}
        values[self._source.group] = groups
        return {name: pl.Series(of, dtype=pl.String) for name, of in values.items() if name}
