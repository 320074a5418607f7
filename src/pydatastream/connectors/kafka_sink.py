"""Write messages to Kafka."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Literal, cast

import polars as pl
from pydantic import Field

from pydatastream.core.described import Described
from pydatastream.core.errors import BeginAgain, ConfigError, Fenced, RetryLater
from pydatastream.core.faults import fault_point
from pydatastream.core.share import Claim
from pydatastream.core.sink import Delivery, Write, Writer
from pydatastream.core.source import Source
from pydatastream.core.times import Duration, micros
from pydatastream.core.types import need
from pydatastream.parts.kafka.admin import KafkaAdmin, allowed
from pydatastream.parts.kafka.cluster import KafkaCluster
from pydatastream.parts.kafka.markers import KafkaMarker, KafkaMarkers
from pydatastream.parts.kafka.member import KafkaClaim
from pydatastream.parts.kafka.messages import KafkaMessages
from pydatastream.parts.kafka.sending import KafkaSending
from pydatastream.parts.kafka.transactions import BRIEF, KafkaTransaction
from pydatastream.parts.messaging.messages import MessageSink

USUAL = 1_048_588
"""The most bytes of a message where the topic does not say."""

BATCH = 1_000_000
"""The most bytes that the client sends as one batch."""


class NewTopic(Described):
    """How a topic is made."""

    partitions: int = Field(1, ge=1)
    """How many partitions it has."""
    replication: int = Field(-1, ge=-1)
    """On how many brokers each is kept; -1: what the cluster does by default."""


class KafkaSink(KafkaCluster, MessageSink):
    """Write each row as a message to a topic of Kafka.

    Delivery: exactly once with a checkpoint. The messages of an epoch are one transaction, with a
    record of the epoch in the compacted topic `markers`; readers see them at its end, if they
    read committed messages only. A start reads the record, and fences off an instance that was
    there before. The transactional id is `pds-<pipeline>-<output>`: two pipelines of one name
    must not share a cluster. Where processes share the source (`balance: true`) each has an id of
    its own, and the offsets of the group are in the transaction instead of the record. Where the
    pipeline asks for at least once, or has no checkpoint, messages go out at once, and an epoch
    is over when all in-sync replicas have them; those of an epoch that is repeated come twice.
    The topic should have `min.insync.replicas` of 2 or more.
    """

    delivery: ClassVar[Delivery] = Delivery.EXACTLY_ONCE
    remote: ClassVar[bool] = True
    primary: ClassVar[str | None] = "topic"
    example: ClassVar[str] = "{type: kafka, brokers: 'localhost:9092', topic: hot, key: device_id}"

    topic: str = Field(min_length=1)
    """The topic."""
    key: str | None = None
    """The column that is the key of the message: rows of one key stay in order."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Headers of the message, from columns: {trace-id: trace}."""
    deleted: str | None = None
    """A boolean column that is not written; where it is true, the message is a tombstone."""
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = "none"
    """How the client packs batches of messages."""
    create: NewTopic | None = None
    """Make the topic if it is not there: {partitions: 4, replication: 3}."""
    markers: str = "pds_markers"
    """The topic that remembers epochs; it is made if it is not there."""
    transaction_timeout: Duration = "5m"
    """An epoch that takes longer is given up by the broker, and repeated; 10s where a source has
    `balance: true`, unless it is given."""

    def accepts(self, schema: pl.Schema) -> None:
        """Raise `SchemaError` for a column that is missing, or that the format cannot write."""
        need(schema, *([self.key] if self.key else []), *self.headers.values())
        if self.deleted:
            need(schema, self.deleted)
        super().accepts(self._written(schema))

    def carries(self, source: Source) -> bool:
        """Whether the source is of the same cluster."""
        return isinstance(source, KafkaCluster) and source.brokers == self.brokers

    def check(self) -> None:
        """Connect, and see that the topic is there and may be written."""
        self._look(KafkaAdmin(self))

    def open(self, job: Write) -> Writer:
        """Start writing."""
        admin = KafkaAdmin(self)
        self._look(admin, create=True)
        rows = self._messages(job.schema, admin.largest(self.topic) or USUAL)
        if job.carries:
            return CarryingWriter(self, rows, job)
        if not job.transactional:
            return KafkaWriter(self, rows)
        markers = KafkaMarkers(self, admin, self.markers, f"{job.pipeline}/{job.sink}")
        return TransactionWriter(self, rows, markers, job)

    def sending(self, most: int, **more: Any) -> KafkaSending:
        """A producer for messages of at most so many bytes."""
        sizes = {"message.max.bytes": max(most, 1000), "batch.size": min(most, BATCH)}
        return KafkaSending(self, **sizes, **{"compression.type": self.compression}, **more)

    def transaction(self, most: int, job: Write, timeout: Duration) -> KafkaTransaction:
        """Transactions of a producer that is named after the pipeline and the output."""
        name = {"transactional.id": f"pds-{job.pipeline}-{job.sink}"}
        times = {"transaction.timeout.ms": micros(timeout) // 1000}
        return KafkaTransaction(self.sending(most, **name, **times), self.topic)

    def _look(self, admin: KafkaAdmin, *, create: bool = False) -> None:
        try:
            topic = admin.topics([self.topic])[self.topic]
            allowed(topic, "WRITE", f"{self.place}, topic {self.topic}")
        except ConfigError as error:
            if self.create is None or "Unknown topic" not in error.what:
                raise
            if create:
                admin.create(self.topic, self.create.partitions, self.create.replication)

    def _messages(self, schema: pl.Schema, most: int) -> KafkaMessages:
        body = self._written(schema)
        written = (body.names(), self.form().encoder(body))
        return KafkaMessages(self.topic, most, *written, self.key, self.headers, self.deleted)

    def _written(self, schema: pl.Schema) -> pl.Schema:
        return pl.Schema({name: of for name, of in schema.items() if name != self.deleted})


class KafkaWriter:
    """Sends messages at once; an epoch is over when all have arrived."""

    def __init__(self, sink: KafkaSink, messages: KafkaMessages, **settings: Any) -> None:
        self._topic, self._messages = sink.topic, messages
        self._sending = sink.sending(messages.most, **settings)

    def begin(self, epoch: int) -> None:
        """Nothing to do: messages go out at once."""

    def write(self, rows: pl.DataFrame) -> None:
        self._sending.send(self._topic, self._messages.of(rows))
        fault_point("kafka.sent")

    def publish(self, epoch: int) -> None:  # noqa: ARG002 - all that was written is meant
        self._sending.flush()
        fault_point("kafka.published")

    def published(self) -> int | None:
        return None

    def close(self) -> None:
        self._sending.close()


class TransactionWriter:
    """Sends the messages of an epoch, and its marker, as one transaction.

    A transaction that the broker has given up looks the same as one that another instance has
    fenced off: the owner in the marker tells them apart.
    """

    def __init__(
        self, sink: KafkaSink, messages: KafkaMessages, markers: KafkaMarkers, job: Write
    ) -> None:
        self._sink, self._messages, self._markers, self._job = sink, messages, markers, job
        markers.ensure()
        if job.again:
            self._refuse_other(markers.last())
        self._transaction = sink.transaction(messages.most, job, sink.transaction_timeout)
        self._last = self._taken_over(markers.last())

    def begin(self, epoch: int) -> None:  # noqa: ARG002 - publish names it
        self._transaction.begin()

    def write(self, rows: pl.DataFrame) -> None:
        self._transaction.send(self._sink.topic, self._messages.of(rows))

    def publish(self, epoch: int) -> None:
        if self._last is not None and epoch <= self._last:
            return
        self._commit(KafkaMarker(epoch, self._job.owner))
        self._last = epoch
        fault_point("kafka.published")

    def published(self) -> int | None:
        return self._last

    def close(self) -> None:
        self._transaction.close()

    def _taken_over(self, marker: KafkaMarker) -> int | None:
        """The last epoch; from now on the marker names us as the owner."""
        if self._job.again:
            self._refuse_other(marker)
        if marker.owner != self._job.owner:
            self.begin(0)
            self._commit(KafkaMarker(marker.epoch, self._job.owner))
        return marker.epoch

    def _refuse_other(self, marker: KafkaMarker) -> None:
        if marker.owner != self._job.owner:
            what = f"{self._sink.place}, topic {self._sink.topic}: another instance writes here"
            raise Fenced(what, hint="stop one of the two")

    def _commit(self, marker: KafkaMarker) -> None:
        self._transaction.add(self._sink.markers, [self._markers.record(marker)])
        fault_point("kafka.marked")
        self._transaction.commit()


class CarryingWriter:
    """Sends the messages of an epoch, and how far it was read, as one transaction.

    What the group knows is what is published: so after any error inside the transaction the run
    asks the group, and begins again there. The producer's name is that of one process.
    """

    def __init__(self, sink: KafkaSink, messages: KafkaMessages, job: Write) -> None:
        self._topic, self._messages = sink.topic, messages
        given = "transaction_timeout" in sink.model_fields_set
        timeout = sink.transaction_timeout if given else BRIEF
        self._transaction = sink.transaction(messages.most, job, timeout)

    def begin(self, epoch: int) -> None:  # noqa: ARG002 - epochs of one process mean nothing here
        with _or_again():
            self._transaction.begin()

    def write(self, rows: pl.DataFrame) -> None:
        messages = self._messages.of(rows)
        with _or_again():
            self._transaction.send(self._topic, messages)

    def carry(self, claims: Sequence[Claim]) -> None:
        with _or_again():
            for claim in claims:
                cast("KafkaClaim", claim).join(self._transaction)
        fault_point("kafka.carried")

    def publish(self, epoch: int) -> None:  # noqa: ARG002 - as above
        with _or_again():
            self._transaction.commit()
        fault_point("kafka.published")

    def published(self) -> int | None:
        return None

    def close(self) -> None:
        self._transaction.close()


@contextmanager
def _or_again() -> Iterator[None]:
    try:
        yield
    except RetryLater as error:
        raise BeginAgain(error.what) from None
