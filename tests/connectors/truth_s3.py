"""Objects of a bucket, put and looked at by boto3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import polars as pl
from contract_json import JsonRows, read, written
from contract_truth import Fixture, SinkTruth, SourceTruth

from pydatastream.connectors.s3 import S3Sink, S3Source
from pydatastream.core.component import Component
from pydatastream.formats.json import JsonFormat

REGION = "eu-central-1"


class Bucket(JsonRows):
    server = "aws_server"

    def __init__(self, place: Path, fixture: Fixture) -> None:
        super().__init__(place, fixture)
        url = f"http://{fixture(self.server).address}"
        self.client = boto3.client(
            "s3",
            endpoint_url=url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            region_name=REGION,
        )
        where = {"LocationConstraint": REGION}
        self.client.create_bucket(Bucket=self.name, CreateBucketConfiguration=where)
        self.options: dict[str, Any] = {
            "endpoint_url": url,
            "access_key_id": "test",
            "secret_access_key": "test",
            "region": REGION,
            "bucket": self.name,
            "prefix": "rows/",
            "format": JsonFormat(),
        }

    def wrong(self) -> dict[str, Component]:
        one = self.source() if isinstance(self, SourceTruth) else self.sink()
        found = {
            r"not-there .*is not there": {"bucket": "not-there"},
            r"127\.0\.0\.1:1": {"endpoint_url": "http://127.0.0.1:1"},
        }
        return {words: one.model_copy(update=given) for words, given in found.items()}

    def keys(self, prefix: str = "") -> list[str]:
        found = self.client.list_objects_v2(Bucket=self.name, Prefix=prefix).get("Contents", [])
        return [one["Key"] for one in found]


class Objects(Bucket, SourceTruth):
    def seed(self, rows: pl.DataFrame) -> pl.DataFrame:
        middle = rows.height // 2
        for number, part in enumerate([rows[:middle], rows[middle:]]):
            lines = b"".join(line + b"\n" for line in written(part))
            self.client.put_object(Bucket=self.name, Key=f"rows/{number}.jsonl", Body=lines)
        return rows

    def source(self) -> S3Source:
        return S3Source.model_validate({**self.options, "max_record": 4 << 20})


class Parts(Bucket, SinkTruth):
    def sink(self) -> S3Sink:
        return S3Sink.model_validate(self.options)

    def visible(self, schema: pl.Schema) -> pl.DataFrame:
        bodies = [
            self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
            for key in self.keys("rows/part-")
        ]
        return read([line for body in bodies for line in body.splitlines()], schema)

    def lose(self) -> None:
        for key in self.keys():
            self.client.delete_object(Bucket=self.name, Key=key)


SOURCES = [Objects]
SINKS = [Parts]
