"""Write rows as MQTT messages."""

from __future__ import annotations

import time
from typing import Any, ClassVar, Literal

import polars as pl
from pydantic import field_validator

from pydatastream.core.errors import RetryLater
from pydatastream.core.faults import fault_point
from pydatastream.core.format import Encoder
from pydatastream.core.sink import Delivery, Write, Writer
from pydatastream.parts.messaging.messages import MessageSink
from pydatastream.parts.mqtt.place import MqttPlace
from pydatastream.parts.mqtt.session import PATIENCE, Session
from pydatastream.parts.windows.varying import varies


class MqttSink(MqttPlace, MessageSink):
    """Write rows as MQTT messages.

    Delivery: at least once with qos 1 or 2: an epoch counts as published when the broker has
    acknowledged all its messages; one that is repeated after a crash is sent again. At most once
    with qos 0. The broker must keep what it has acknowledged on disk.
    """

    delivery: ClassVar[Delivery] = varies(
        Delivery.AT_LEAST_ONCE,
        lambda sink: Delivery.AT_LEAST_ONCE if sink.qos else Delivery.AT_MOST_ONCE,
    )
    remote: ClassVar[bool] = True
    primary: ClassVar[str | None] = "topic"
    example: ClassVar[str] = '{type: mqtt, host: localhost, topic: "alerts/hot"}'

    topic: str
    """The topic of every message."""
    qos: Literal[0, 1, 2] = 1
    """0: at most once; 1: at least once; 2: once from us to the broker."""
    retain: bool = False
    """The broker gives the last message to whoever comes later."""

    @field_validator("topic")
    @classmethod
    def _is_topic(cls, topic: str) -> str:
        if not topic or set(topic) & set("+#"):
            raise ValueError("messages go to a topic, not to a filter with + or #")
        return topic

    def check(self) -> None:
        """Connect."""
        session = Session(self, None, keeps=False)
        session.open()
        session.close()

    def open(self, job: Write) -> Writer:
        """Start sending."""
        session = Session(self, None, keeps=False)
        session.open()
        return MqttWriter(self, session, self.form().encoder(job.schema))


class MqttWriter:
    """Sends at once; an epoch is published when the broker has acknowledged it."""

    def __init__(self, sink: MqttSink, session: Session, encoder: Encoder) -> None:
        self._sink, self._session, self._encoder = sink, session, encoder
        self._under_way: list[Any] = []

    def begin(self, epoch: int) -> None:  # noqa: ARG002 - all epochs are alike
        self._under_way = []

    def write(self, rows: pl.DataFrame) -> None:
        self._expect_connected()
        send, sink = self._session.client.publish, self._sink
        self._under_way += [
            send(sink.topic, payload, sink.qos, sink.retain)
            for payload in self._encoder.encode_messages(rows)
        ]

    def publish(self, epoch: int) -> None:  # noqa: ARG002 - all epochs are alike
        """Wait for the answers; a broker that gives none for a while is away."""
        waiting, self._under_way = self._under_way, []
        fault_point("mqtt.written")
        end = time.monotonic() + PATIENCE
        for info in waiting:
            while not info.is_published():
                self._expect_connected()
                if time.monotonic() > end:
                    raise RetryLater(f"{self._sink.at} does not answer")
                info.wait_for_publish(0.1)
            end = time.monotonic() + PATIENCE
        fault_point("mqtt.published")

    def published(self) -> int | None:
        return None

    def close(self) -> None:
        self._session.close()

    def _expect_connected(self) -> None:
        if not self._session.connected:
            raise RetryLater(f"{self._sink.at} has gone")
