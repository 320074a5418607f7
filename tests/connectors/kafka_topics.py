"""Topics made for a test and filled by the client library, past our own code."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl
from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourcePatternType,
    ResourceType,
)

from pydatastream.connectors.kafka import KafkaSource
from pydatastream.core.batch import Batch
from pydatastream.core.source import Read
from pydatastream.formats.json import JsonFormat

NUMBERS = pl.Schema({"n": pl.Int64()})


class Topics:
    """The topics of a broker."""

    def __init__(self, brokers: str) -> None:
        self.brokers = brokers
        self.admin = AdminClient({"bootstrap.servers": brokers, "log_level": 0})
        # What is sent again after an error must not change places with what follows.
        keep = {"enable.idempotence": True, "linger.ms": 0, "log_level": 0}
        self._producer = Producer({"bootstrap.servers": brokers, **keep})

    def new(self, partitions: int = 1, **config: str) -> str:
        """A topic of its own name."""
        return self.make(f"t-{uuid.uuid4().hex[:8]}", partitions, **config)

    def make(self, name: str, partitions: int = 1, **config: str) -> str:
        settings = {key.replace("_", "."): value for key, value in config.items()}
        self.admin.create_topics([NewTopic(name, partitions, 1, config=settings)])[name].result(20)
        over = time.monotonic() + 20  # it is known a little later
        while not self._is_known(name) and time.monotonic() < over:
            time.sleep(0.02)
        return name

    def _is_known(self, name: str) -> bool:
        try:
            asked = self.admin.describe_topics(TopicCollection([name]))[name].result(20).partitions
            latest = {TopicPartition(name, one.id): OffsetSpec.latest() for one in asked}
            ends = self.admin.list_offsets(latest).values()
            return bool(ends) and all(one.result(20).offset == 0 for one in ends)
        except KafkaException:
            return False

    def committed(self, topic: str) -> list[bytes]:
        """The values of a topic that a reader sees, by partition, up to its end."""
        settings = {"group.id": "test", "enable.partition.eof": True, "check.crcs": True}
        consumer = Consumer({"bootstrap.servers": self.brokers, **settings})
        partitions = self.admin.list_topics(topic, timeout=20).topics[topic].partitions
        found: dict[int, list[bytes]] = {number: [] for number in partitions}
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        ended = set[int]()
        while len(ended) < len(partitions):
            for one in consumer.consume(10_000, 0.1):
                if one.error() is None:
                    found[one.partition()].append(one.value())
                else:
                    assert one.error().code() == KafkaError._PARTITION_EOF, one.error()
                    ended.add(one.partition())
        consumer.close()
        return [value for number in sorted(found) for value in found[number]]

    def drop(self, name: str) -> None:
        self.admin.delete_topics([name])[name].result(20)
        while name in self.admin.list_topics(timeout=10).topics:
            time.sleep(0.05)

    def allow(
        self,
        user: str,
        topic: str,
        *operations: AclOperation,
        kind: ResourceType = ResourceType.TOPIC,
    ) -> None:
        """Let a user do something with a topic, or with what else has that name."""
        of, may = (kind, topic, ResourcePatternType.LITERAL), AclPermissionType.ALLOW
        rights = [AclBinding(*of, f"User:{user}", "*", one, may) for one in operations]
        for done in self.admin.create_acls(rights).values():
            done.result(20)

    def grow(self, name: str, partitions: int) -> None:
        self.admin.create_partitions([NewPartitions(name, partitions)])[name].result(20)

    def trim(self, name: str, before: int, partition: int = 0) -> None:
        """Drop the first messages, as retention would."""
        at = TopicPartition(name, partition, before)
        next(iter(self.admin.delete_records([at]).values())).result(20)

    def put(self, topic: str, values: Iterable[Any], partition: int = 0, **more: Any) -> None:
        for value in values:
            self._producer.produce(topic, value, partition=partition, **more)
        assert self._producer.flush(20) == 0

    def transact(self, topic: str, values: Iterable[Any], *, commit: bool = True) -> None:
        """Messages of one transaction; it leaves a marker in the log, whatever becomes of it."""
        name = {"transactional.id": f"test-{topic}"}
        producer = Producer({"bootstrap.servers": self.brokers, **name})
        producer.init_transactions(20)
        producer.begin_transaction()
        for value in values:
            producer.produce(topic, value, partition=0)
        producer.flush(20)
        producer.commit_transaction(20) if commit else producer.abort_transaction(20)

    def source(self, topic: Any, **options: Any) -> KafkaSource:
        return KafkaSource(brokers=self.brokers, topic=topic, format=JsonFormat(), **options)


def numbers(first: int, last: int) -> list[bytes]:
    return [b'{"n":%d}' % n for n in range(first, last)]


def batches(
    source: KafkaSource,
    partition: str,
    seconds: float = 20,
    schema: pl.Schema = NUMBERS,
    **job: Any,
) -> list[Batch]:
    """All batches up to the end of the stream; a stream without end: up to the first pause."""
    reader = source.open(partition, Read(schema, **job))
    endless = not source.bounded and "until" not in job
    found, over = [], time.monotonic() + seconds
    quiet = 0
    try:
        for batch in itertools.takewhile(lambda _: time.monotonic() < over, reader):
            found += [batch] if batch is not None else []
            quiet = 0 if batch is not None else quiet + 1
            if endless and quiet > 20:
                break
        else:
            assert time.monotonic() < over, "the stream does not end"
    finally:
        reader.close()
    return found


def rows(found: Sequence[Batch]) -> pl.DataFrame:
    return pl.concat([batch.rows for batch in found])


def dead(found: Sequence[Batch]) -> pl.DataFrame:
    return pl.concat([batch.dead for batch in found])
