"""Kafka, filled and looked into by its client library alone."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from contract_json import JsonRows, columns, read, written
from contract_truth import Fixture, SinkTruth, SourceTruth
from kafka_topics import Topics

from pydatastream.connectors.kafka import KafkaSource
from pydatastream.connectors.kafka_sink import KafkaSink
from pydatastream.core.component import Component
from pydatastream.formats.json import JsonFormat


class Topic(JsonRows, SourceTruth):
    server = "kafka_server"
    longest = 500_000

    def __init__(self, place: Path, fixture: Fixture) -> None:
        super().__init__(place, fixture)
        self.topics = Topics(fixture(self.server).address)

    def wrong(self) -> dict[str, Component]:
        one = self.topics.source("nowhere", columns={"id": "int"})
        nobody = KafkaSource(brokers="127.0.0.1:1", topic="nowhere", format=JsonFormat())
        return {"topic nowhere": one, r"127\.0\.0\.1:1 ": nobody}

    def seed(self, rows: pl.DataFrame) -> pl.DataFrame:
        self.topic, self.schema = self.topics.new(2), rows.schema
        for partition in (0, 1):
            part = rows.filter(pl.col("id") % 2 == partition)
            self.topics.put(self.topic, written(part), partition)
        return rows

    def source(self) -> KafkaSource:
        return self.topics.source(self.topic, stop="latest", columns=columns(self.schema))


class Committed(JsonRows, SinkTruth):
    server = "kafka_server"
    longest = 500_000

    def __init__(self, place: Path, fixture: Fixture) -> None:
        super().__init__(place, fixture)
        self.topics = Topics(fixture(self.server).address)
        self.topic, self.markers = self.topics.new(), f"markers-{self.name}"

    def wrong(self) -> dict[str, Component]:
        nobody = {"brokers": "127.0.0.1:1"}
        missing = self.sink().model_copy(update={"topic": "nowhere"})
        return {
            "topic nowhere": missing,
            r"127\.0\.0\.1:1": missing.model_copy(update=nobody),
        }

    def sink(self) -> KafkaSink:
        return KafkaSink(
            brokers=self.topics.brokers, topic=self.topic, format=JsonFormat(), markers=self.markers
        )

    def visible(self, schema: pl.Schema) -> pl.DataFrame:
        return read(self.topics.committed(self.topic), schema)

    def lose(self) -> None:
        self.topics.drop(self.markers)


SOURCES = [Topic]
SINKS = [Committed]
