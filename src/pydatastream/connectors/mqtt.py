"""Read rows from MQTT messages."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

import polars as pl
from pydantic import model_validator

from pydatastream.core.batch import Batch, Offset
from pydatastream.core.errors import ConfigError
from pydatastream.core.source import Read, Reader
from pydatastream.parts.messaging.inbox import Inbox
from pydatastream.parts.messaging.messages import MessageSource
from pydatastream.parts.mqtt.place import MANY, MqttPlace
from pydatastream.parts.mqtt.session import Session

WAIT = 0.09
"""Seconds to wait for a message."""


class MqttSource(MqttPlace, MessageSource):
    """Read rows from MQTT messages.

    Delivery: not replayable; with a checkpoint, what was received is spooled. With qos 1 or 2
    a message is acknowledged when its epoch is published, and until then the broker keeps it in
    the session of `client_id`: nothing is lost, also not what is sent while this source is away,
    once it has been there. What was not acknowledged before a crash comes again, though it may
    stand in the spool: at least once. The broker must keep sessions on disk, queue as much as is
    sent meanwhile, and allow as many messages under way as come in one epoch (mosquitto:
    persistence, max_queued_messages 0; MQTT 5 asks for 65,535 under way, with 3.1.1 mosquitto
    allows max_inflight_messages, 20). With qos 0, what is sent while nobody listens is lost.
    """

    replayable: ClassVar[bool] = False
    primary: ClassVar[str | None] = "topic"
    example: ClassVar[str] = (
        '{type: mqtt, host: localhost, topic: "sensors/#", client_id: pds, '
        "schema: {device_id: string, temperature: float}}"
    )

    topic: str
    """The topic, or a filter with + and #."""
    qos: Literal[0, 1, 2] = 1
    """0: at most once; 1: at least once; 2: once from the broker to us."""
    topic_column: str | None = None
    """A column for the topic of each message; by default there is none."""

    @model_validator(mode="after")
    def _named(self) -> MqttSource:
        if self.qos and not self.client_id:
            raise ValueError("qos 1 and 2 need a `client_id`: the broker keeps messages for it")
        return self

    def beside(self) -> pl.Schema:
        """The topic, if it is wanted."""
        return pl.Schema({self.topic_column: pl.String()} if self.topic_column else {})

    def check(self) -> None:
        """Connect as nobody in particular, so that no session is taken over."""
        session = Session(self.model_copy(update={"client_id": None}), None, keeps=False)
        session.open()
        session.close()

    def partitions(self) -> Sequence[str]:
        """There is one."""
        return [self.topic]

    def open(self, partition: str, job: Read) -> Reader:  # noqa: ARG002 - there is but one
        """Start listening."""
        reader = MqttReader(self, self.inbox(job.schema), job)
        reader.start()
        return reader


class MqttReader:
    """Takes what the client's thread has heard, and acknowledges what is done."""

    def __init__(self, source: MqttSource, inbox: Inbox, job: Read) -> None:
        self._source, self._inbox, self._job = source, inbox, job
        self._session = Session(source, self._join, keeps=source.qos > 0)
        self._session.client.on_subscribe = self._subscribed
        self._session.client.on_message = self._hear
        self._heard: queue.Queue[Any] = queue.Queue(MANY)
        self._open: dict[int, Any] = {}
        self._given: deque[tuple[int, Any]] = deque()
        self._allowed, self._closed, self._n = threading.Event(), threading.Event(), 0

    def start(self) -> None:
        """Connect and subscribe."""
        self._session.open()
        self._session.wait(self._allowed)

    def __iter__(self) -> Iterator[Batch | None]:
        while True:
            messages = self._taken()
            if not messages:
                yield None
                continue
            first = self._n
            decoded = self._inbox.read(
                [one.payload for one in messages],
                lambda n, first=first: f"message {first + n}",  # type: ignore[misc]
                self._beside(messages),
            )
            self._given += [(first + n, one) for n, one in enumerate(messages, 1) if one.qos]
            self._n += len(messages)
            yield Batch(decoded.rows, {"n": self._n}, decoded.dead)

    def commit(self, offset: Offset) -> None:
        """Tell the broker that it may forget what is done."""
        while self._given and self._given[0][0] <= offset["n"]:
            message = self._given.popleft()[1]
            if self._open.pop(message.mid, None) is message:
                self._session.client.ack(message.mid, message.qos)

    def close(self) -> None:
        """Leave; the broker keeps the session."""
        self._closed.set()
        self._session.close()

    def _join(self, client: Any, kept: bool) -> None:
        if not kept:  # what we have not acknowledged will come under new numbers, or never
            self._open.clear()
        client.subscribe(self._source.topic, self._source.qos)

    def _subscribed(self, _: Any, __: Any, ___: Any, reasons: Any, *____: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            what = f"{self._source.at} refuses topic {self._source.topic!r}: {reasons[0]}"
            error = ConfigError(what, hint="check the topic, and who may read it at the broker")
            self._session.refuse(error, self._allowed)
        self._allowed.set()

    def _hear(self, _: Any, __: Any, message: Any) -> None:
        """In the client's thread; a full queue holds the broker up."""
        known = self._open.get(message.mid) if message.dup else None
        if known and (known.topic, known.payload) == (message.topic, message.payload):
            return  # it is on its way already
        if message.qos:
            self._open[message.mid] = message
        while not self._closed.is_set() and not self._put(message):
            pass

    def _put(self, message: Any) -> bool:
        try:
            self._heard.put(message, timeout=WAIT)
        except queue.Full:
            return False
        return True

    def _taken(self) -> list[Any]:
        found: list[Any] = []
        size = 0
        try:
            found.append(self._heard.get(timeout=WAIT))
            while len(found) < self._job.rows and size < self._job.bytes:
                size += len(found[-1].payload)
                found.append(self._heard.get_nowait())
        except queue.Empty:
            pass
        return found

    def _beside(self, messages: Sequence[Any]) -> dict[str, pl.Series]:
        if not self._inbox.beside:
            return {}
        topics = pl.Series([one.topic for one in messages], dtype=pl.String)
        return dict.fromkeys(self._inbox.beside, topics)
