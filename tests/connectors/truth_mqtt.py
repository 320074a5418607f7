"""MQTT, with the client library at the other end."""

from __future__ import annotations

import json
import threading
import uuid
from datetime import datetime
from typing import Any, ClassVar

import paho.mqtt.client as paho
import polars as pl
from contract_truth import SinkTruth, SourceTruth, Truth

from pydatastream.connectors.mqtt import MqttSource
from pydatastream.connectors.mqtt_sink import MqttSink
from pydatastream.core.component import Component
from pydatastream.core.types import type_name
from pydatastream.formats.json import JsonFormat

QUIET = 0.5
"""Seconds without a message after which all have come."""


def json_carries(dtype: pl.DataType) -> bool:
    known = pl.String | pl.Boolean | pl.List | pl.Datetime
    return isinstance(dtype, known) or dtype.is_integer()


class Topic(Truth):
    """A topic of its own."""

    server = "mqtt_server"

    def __init__(self, place: Any, fixture: Any) -> None:
        super().__init__(place, fixture)
        self.port = fixture("mqtt_server").port
        self.topic = f"truth/{uuid.uuid4().hex}"
        self.where = {"host": "127.0.0.1", "port": self.port, "format": JsonFormat()}

    types: ClassVar[dict[str, str]] = {"id": "int"}

    def wrong(self) -> dict[str, Component]:
        one = self.source() if isinstance(self, SourceTruth) else self.sink()
        return {r"127\.0\.0\.1:1 cannot be reached": one.model_copy(update={"port": 1})}

    def carries(self, dtype: pl.DataType) -> bool:
        return json_carries(dtype)

    def client(self, name: str = "", *, keeps: bool = False) -> paho.Client:
        """A client that has connected; with a name, the broker keeps its session."""
        client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id=name, clean_session=not keeps
        )
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        return client

    def subscribed(self, client: paho.Client) -> None:
        done = threading.Event()
        client.on_subscribe = lambda *_: done.set()
        client.subscribe(self.topic, 1)
        assert done.wait(10)


class Waiting(Topic, SourceTruth):
    """Messages that the broker keeps for a session it knows."""

    killed = False

    def seed(self, rows: pl.DataFrame) -> pl.DataFrame:
        self.types = {name: type_name(dtype) for name, dtype in rows.schema.items()}
        client = self.client(self.topic, keeps=True)
        self.subscribed(client)
        client.disconnect()
        client.loop_stop()
        sender = self.client()
        told = [sender.publish(self.topic, as_json(row), 1) for row in rows.to_dicts()]
        for one in told:
            one.wait_for_publish(20)
        sender.disconnect()
        sender.loop_stop()
        return rows

    def source(self) -> MqttSource:
        known = {"client_id": self.topic, "version": "5"}
        return MqttSource(topic=self.topic, schema=self.types, **known, **self.where)


class Heard(Topic, SinkTruth):
    """Messages that a listener has heard."""

    def __init__(self, place: Any, fixture: Any) -> None:
        super().__init__(place, fixture)
        self.found: list[bytes] = []
        self.news = threading.Event()
        self.listener = self.client()
        self.listener.on_message = self.hear
        self.subscribed(self.listener)

    def hear(self, _: Any, __: Any, message: Any) -> None:
        self.found.append(message.payload)
        self.news.set()

    def sink(self) -> MqttSink:
        return MqttSink(topic=self.topic, **self.where)

    def visible(self, schema: pl.Schema) -> pl.DataFrame:
        while self.news.wait(QUIET):
            self.news.clear()
        rows = [json.loads(one) for one in self.found]
        times = [name for name, dtype in schema.items() if isinstance(dtype, pl.Datetime)]
        for row in rows:
            row.update({n: datetime.fromisoformat(row[n]) for n in times if row[n] is not None})
        return pl.DataFrame(rows, schema=schema)

    def close(self) -> None:
        self.listener.disconnect()
        self.listener.loop_stop()


def as_json(row: dict[str, Any]) -> bytes:
    return json.dumps(row, default=str).encode()


SOURCES = [Waiting]
SINKS = [Heard]
