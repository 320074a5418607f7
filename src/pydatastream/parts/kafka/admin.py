"""Questions to a Kafka cluster: which topics, how far, how much."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, wait
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from pydatastream.core.errors import ConfigError, PdsError, RetryLater, StopError
from pydatastream.parts.kafka.cluster import KafkaCluster, telling
from pydatastream.parts.kafka.library import client, made

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

T = TypeVar("T")
Place = tuple[str, int]
"""A topic and the number of a partition."""

Asked = dict[str, Future[Any]]
"""Answers that are on their way, by topic."""

PATIENCE = 5.0
"""Seconds until a cluster that does not answer counts as out of reach."""

LISTEN = 0.02
"""Seconds between two looks at what the client says of its connections."""

_HOPELESS = ("_AUTHENTICATION", "_SSL")
"""What the client tries again for ever, though it does not heal."""


def allowed(topic: Any, operation: str, place: str) -> None:
    """Raise `ConfigError` if the broker says that we may not do this with a topic."""
    told = topic.authorized_operations
    if told and operation not in [one.name for one in told]:
        what = f"{place}: this user may not {operation.lower()}"
        raise ConfigError(what, hint="allow it with kafka-acls, or check `sasl:` user")


class KafkaAdmin:
    """Asks a cluster; an answer comes in `PATIENCE`, or an error that says what is wrong."""

    def __init__(self, cluster: KafkaCluster) -> None:
        self._kafka, self._cluster = client(), cluster
        heard: deque[KafkaError] = deque(maxlen=1)

        def hear(error: KafkaError) -> None:  # it knows no `self`, so the client ends with us
            if error.name() != "_ALL_BROKERS_DOWN":
                heard.append(error)

        self._heard = heard
        self._client = made(self._kafka.admin.AdminClient, cluster, error_cb=hear)

    def topics(self, names: Iterable[str]) -> dict[str, Any]:
        """What there is of these topics; `ConfigError` for one that is not there."""
        return self.told(self.ask(names))

    def ask(self, names: Iterable[str]) -> Asked:
        """Ask for topics without waiting; `told` gives the answer."""
        wanted = self._kafka.TopicCollection(list(names))
        asked: Asked = self._client.describe_topics(
            wanted, include_authorized_operations=True, request_timeout=PATIENCE
        )
        return asked

    def told(self, asked: Asked) -> dict[str, Any]:
        """What there is of the topics that were asked for."""
        return {name: self._answer(one, f", topic {name}") for name, one in asked.items()}

    def ends(
        self, partitions: Iterable[Place], which: str = "latest", *, committed: bool = True
    ) -> dict[Place, int]:
        """The offset of the `earliest` message, or after the `latest`; `committed`: of those."""
        spec, level = self._kafka.admin.OffsetSpec, self._kafka.IsolationLevel
        isolation = level.READ_COMMITTED if committed else level.READ_UNCOMMITTED
        return self._offsets(partitions, getattr(spec, which)(), isolation_level=isolation)

    def since(self, partition: Place, moment: datetime) -> int | None:
        """The first offset of a time, or after it; None: there is none yet."""
        when = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        millis = round(when.timestamp() * 1000)
        spec = self._kafka.admin.OffsetSpec.for_timestamp(millis)
        found = self._offsets([partition], spec)[partition]
        return found if found >= 0 else None

    def told_to(self, group: str) -> dict[Place, int]:
        """How far a group knows its partitions to be read; ask a new client, and only once.

        One that has since lost all brokers waits without end for the one that it once asked for
        the group, though it has itself let go of that one (librdkafka#5511).
        """
        wanted = self._kafka.ConsumerGroupTopicPartitions(group)
        asked = self._client.list_consumer_group_offsets([wanted], request_timeout=PATIENCE)
        told = self._answer(asked[group], f", group {group}").topic_partitions or []
        return {(one.topic, one.partition): one.offset for one in told if one.offset >= 0}

    def _offsets(self, partitions: Iterable[Place], spec: Any, **how: Any) -> dict[Place, int]:
        of = {self._kafka.TopicPartition(*one): spec for one in partitions}
        asked = self._client.list_offsets(of, request_timeout=PATIENCE, **how) if of else {}
        place = ", topic {0.topic} partition {0.partition}"
        return {
            (one.topic, one.partition): self._answer(told, place.format(one)).offset
            for one, told in asked.items()
        }

    def largest(self, topic: str) -> int | None:
        """The most bytes of a message, as the topic has it; None: we may not know."""
        kind = self._kafka.admin.ConfigResource
        asked = self._client.describe_configs([kind(kind.Type.TOPIC, topic)])
        try:
            return int(self._answer(next(iter(asked.values())))["max.message.bytes"].value)
        except ConfigError:
            return None

    def create(self, topic: str, partitions: int, copies: int, **config: str) -> None:
        """Make a topic, unless it is there, and wait until it can be used."""
        new = self._kafka.admin.NewTopic(topic, partitions, copies, config=config)
        try:
            self._answer(self._client.create_topics([new])[topic], f", topic {topic}")
        except StopError as error:
            if "already exists" not in error.what:
                raise
        self._wait_for(topic)

    def _wait_for(self, topic: str) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with suppress(ConfigError, RetryLater):  # it is not known everywhere at once
                found = self.topics([topic])[topic].partitions
                if found and all(one.leader for one in found):
                    self.ends((topic, one.id) for one in found)
                    return
            time.sleep(0.02)
        raise RetryLater(f"{self._cluster.place}: topic {topic} has no leader yet")

    def _answer(self, future: Future[T], about: str = "") -> T:
        """What came of it; an error at once where the client only tries in vain."""
        end = time.monotonic() + 2 * PATIENCE
        while not wait([future], LISTEN).done and time.monotonic() < end:
            self._client.poll(0)
            if self._heard and self._heard[-1].name() in _HOPELESS:
                raise telling(self._heard[-1], self._cluster.place)
        try:
            error = future.exception(0)  # not raised, or its traceback would keep us alive
        except TimeoutError:
            raise RetryLater(f"{self._cluster.place} does not answer") from None
        if isinstance(error, self._kafka.KafkaException):
            raise self._told(error.args[0], about)
        return future.result()

    def _told(self, error: KafkaError, about: str) -> PdsError:
        """The error, or what was behind it where it only says that time is up."""
        behind = self._heard[-1] if self._heard and error.name() == "_TIMED_OUT" else error
        return telling(behind, f"{self._cluster.place}{about}")
