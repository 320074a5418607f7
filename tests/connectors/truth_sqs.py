"""Queues of SQS, filled and emptied by boto3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import polars as pl
from contract_json import JsonRows, columns, read, written
from contract_truth import Fixture, SinkTruth, SourceTruth

from pydatastream.connectors.sqs import SqsSource
from pydatastream.connectors.sqs_sink import SqsSink
from pydatastream.core.component import Component
from pydatastream.formats.json import JsonFormat

REGION = "eu-central-1"


class Queue(JsonRows):
    server = "aws_server"
    longest = 200_000

    def __init__(self, place: Path, fixture: Fixture) -> None:
        super().__init__(place, fixture)
        url = f"http://{fixture(self.server).address}"
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        self.client = boto3.client("sqs", endpoint_url=url, region_name=REGION, **keys)
        self.options: dict[str, Any] = {
            "endpoint_url": url,
            "access_key_id": "test",
            "secret_access_key": "test",
            "region": REGION,
            "format": JsonFormat(),
        }

    def wrong(self) -> dict[str, Component]:
        self.options.setdefault("queue", "none")
        one = self.source() if isinstance(self, SourceTruth) else self.sink()
        end = ".fifo" if one.fifo else ""
        found = {
            r"queue none.*is not there": {"queue": f"none{end}"},
            r"127\.0\.0\.1:1": {"endpoint_url": "http://127.0.0.1:1"},
        }
        return {words: one.model_copy(update=given) for words, given in found.items()}

    def made(self, name: str, **attributes: str) -> str:
        """A queue; its address."""
        self.options["queue"] = name
        return str(self.client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])


class Waiting(Queue, SourceTruth):
    """Messages of a standard queue."""

    killed = False

    schema = pl.Schema({"id": pl.Int64})

    def seed(self, rows: pl.DataFrame) -> pl.DataFrame:
        url, self.schema = self.made(self.name), rows.schema
        bodies = [line.decode() for line in written(rows)]
        for at in range(0, len(bodies), 10):
            some = [
                {"Id": str(n), "MessageBody": one} for n, one in enumerate(bodies[at : at + 10])
            ]
            self.client.send_message_batch(QueueUrl=url, Entries=some)
        return rows

    def source(self) -> SqsSource:
        return SqsSource.model_validate({**self.options, "schema": columns(self.schema)})


class Ordered(Queue, SinkTruth):
    """A FIFO queue, emptied as often as it is looked at."""

    lingers = True

    def __init__(self, place: Path, fixture: Fixture) -> None:
        super().__init__(place, fixture)
        self.url = self.made(f"{self.name}.fifo", FifoQueue="true")
        self.found: list[str] = []

    def sink(self) -> SqsSink:
        return SqsSink.model_validate(self.options)

    def visible(self, schema: pl.Schema) -> pl.DataFrame:
        asked = {"QueueUrl": self.url, "MaxNumberOfMessages": 10}
        while messages := self.client.receive_message(**asked).get("Messages"):
            self.found += [one["Body"] for one in messages]
            done = [
                {"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]}
                for n, one in enumerate(messages)
            ]
            self.client.delete_message_batch(QueueUrl=self.url, Entries=done)
        return read(self.found, schema)


SOURCES = [Waiting]
SINKS = [Ordered]
