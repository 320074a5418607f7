"""Write messages to a queue of SQS."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from typing import Any, ClassVar

import polars as pl

from pydatastream.core.errors import RetryLater, RowError, SchemaError, StopError
from pydatastream.core.faults import fault_point
from pydatastream.core.sink import Delivery, Write, Writer
from pydatastream.parts.aws.queues import LARGEST, MOST, SqsDoor, SqsQueue
from pydatastream.parts.messaging.messages import MessageSink, texts
from pydatastream.parts.windows.varying import varies

_REFUSED = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that SQS does not take (SendMessage: #x9 | #xA | #xD | #x20 to #xD7FF ...)."""

_AROUND = 300
"""Bytes that the attributes of a message take at most."""

Entry = dict[str, Any]


class SqsSink(SqsQueue, MessageSink):
    """Write each row as a message to a queue of Amazon SQS.

    Delivery: to a FIFO queue effectively once: a message's deduplication id is made of pipeline,
    output, epoch and number, so what is sent again after a crash is dropped by the queue for five
    minutes; a longer stop in the middle of sending may give some twice. To a standard queue at
    least once. Each message has the same id as attribute `pds`, so that a reader can drop
    repeats. A row that is larger than the queue takes becomes a dead letter.
    """

    delivery: ClassVar[Delivery] = varies(
        Delivery.EFFECTIVELY_ONCE,
        lambda sink: Delivery.EFFECTIVELY_ONCE if sink.fifo else Delivery.AT_LEAST_ONCE,
    )
    remote: ClassVar[bool] = True
    primary: ClassVar[str | None] = "queue"
    example: ClassVar[str] = (
        "{type: sqs, queue: alerts.fifo, region: eu-central-1, group: device_id, format: json}"
    )

    group: str | None = None
    """The column whose value is the message group of a FIFO queue; by default all are one."""

    def accepts(self, schema: pl.Schema) -> None:
        """Raise `SchemaError` if the format cannot write a column, or `group` is none."""
        super().accepts(schema)
        if self.group and self.group not in schema:
            raise SchemaError(f"group: there is no column {self.group!r}")

    def check(self) -> None:
        """Ask for the queue; `ConfigError` says what is wrong."""
        self.door().number("MaximumMessageSize", LARGEST)

    def open(self, job: Write) -> Writer:
        """Start writing."""
        return SqsWriter(self, self.door(), job)


class SqsWriter:
    """Sends the messages of an epoch when it is published, ten at a time."""

    def __init__(self, sink: SqsSink, door: SqsDoor, job: Write) -> None:
        self._sink, self._door, self._job = sink, door, job
        self._encoder = sink.form().encoder(job.schema)
        self._largest = door.number("MaximumMessageSize", LARGEST)
        self._epoch = self._count = 0
        self._entries: list[Entry] = []
        self._sent: int | None = None

    def begin(self, epoch: int) -> None:
        self._epoch, self._count, self._entries = epoch, 0, []

    def write(self, rows: pl.DataFrame) -> None:
        bodies = [self._body(one) for one in self._encoder.encode_messages(rows)]
        groups = self._groups(rows)
        start = self._count
        self._count += len(bodies)
        made = zip(range(start, self._count), bodies, groups, strict=True)
        self._entries += [self._entry(*one) for one in made]
        if not self._job.transactional:
            self._send(whole=False)

    def publish(self, epoch: int) -> None:
        if self._sent != epoch:
            self._send(whole=True)
            self._sent = epoch
        fault_point("sqs.published")

    def published(self) -> int | None:
        return None

    def close(self) -> None:
        """Nothing stays open, and nothing more is sent."""

    def _body(self, message: bytes) -> str:
        text = base64.b64encode(message).decode() if self._sink.base64 else _text(message)
        size = len(text.encode()) + _AROUND
        if size > self._largest:
            what = f"a message of {size} bytes, where the queue takes {self._largest}"
            raise RowError(what, where=self._door.name)
        return text

    def _groups(self, rows: pl.DataFrame) -> list[str]:
        if not self._sink.group:
            return [self._job.pipeline[:128]] * rows.height
        return [_word(str(one)) for one in texts(rows[self._sink.group])]

    def _entry(self, number: int, body: str, group: str) -> Entry:
        once = _word(f"{self._job.pipeline}-{self._job.sink}-{self._epoch}-{number}")
        entry: Entry = {
            "MessageBody": body,
            "MessageAttributes": {"pds": {"DataType": "String", "StringValue": once}},
        }
        fifo = {"MessageGroupId": group, "MessageDeduplicationId": once}
        return entry | fifo if self._sink.fifo else entry

    def _send(self, *, whole: bool) -> None:
        """Send what has come; if not all of it, then only full calls."""
        for some in _calls(self._entries, self._largest):
            if len(some) < MOST and not whole:
                break
            self._refuse(self._door.batches("send_message_batch", some))
            del self._entries[: len(some)]
            fault_point("sqs.sent")

    def _refuse(self, failed: list[dict[str, Any]]) -> None:
        for one in failed:
            what = f"{self._door.name} did not take a message: {one.get('Message') or one['Code']}"
            raise StopError(what) if one.get("SenderFault") else RetryLater(what)


def _calls(entries: list[Entry], most: int) -> Iterator[list[Entry]]:
    """Entries in calls of at most ten, and of at most so many bytes."""
    some: list[Entry] = []
    size = 0
    for entry in list(entries):
        more = len(entry["MessageBody"].encode()) + _AROUND
        if some and (len(some) == MOST or size + more > most):
            yield some
            some, size = [], 0
        some.append(entry)
        size += more
    if some:
        yield some


def _text(message: bytes) -> str:
    try:
        text = message.decode()
    except UnicodeDecodeError:
        raise RowError("the message is no text", hint="base64: true") from None
    if found := _REFUSED.search(text):
        raise RowError(f"SQS does not carry the character {found[0]!r}", hint="base64: true")
    return text


def _word(text: str) -> str:
    """As an id may be: of some characters, 128 at most."""
    if re.fullmatch(r"[\x21-\x7e]{1,128}", text):
        return text
    return hashlib.sha256(text.encode()).hexdigest()
