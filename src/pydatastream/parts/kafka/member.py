"""A process as a member of a consumer group: what Kafka gives it to read, and takes again."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pydatastream.core.batch import Offset
from pydatastream.core.errors import BeginAgain, RetryLater
from pydatastream.core.faults import fault_point
from pydatastream.core.times import micros
from pydatastream.parts.kafka.admin import Place
from pydatastream.parts.kafka.cluster import KafkaCluster, telling
from pydatastream.parts.kafka.library import acting, client, made
from pydatastream.parts.kafka.sending import KafkaSending
from pydatastream.parts.kafka.transactions import BRIEF, KafkaTransaction

JOINING = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "allow.auto.create.topics": False,
    "auto.offset.reset": "error",
    "isolation.level": "read_committed",
    # All is given back before it is given anew, so a claim is never made in between.
    "partition.assignment.strategy": "roundrobin",
    "topic.metadata.refresh.interval.ms": 2000,  # so soon a partition that is added is shared
}
"""How the client joins: it divides the partitions, and reads none of them itself."""


class KafkaClaim:
    """How far partitions were read by this member, while they were its own."""

    def __init__(self, member: KafkaMember, offsets: list[Any], proof: Any) -> None:
        self._member, self._offsets, self._proof = member, offsets, proof

    def commit(self) -> None:
        self._member.tell(self)
        fault_point("kafka.claimed")

    def join(self, transaction: KafkaTransaction) -> None:
        """Become a part of it."""
        transaction.tell(self._offsets, self._proof)


class KafkaMember:
    """Follows what the group gives and takes; reading is done by a feed, as without a group.

    What proves to the broker that partitions are still ours is kept from the moment they were
    given: a later proof would also hold for a member that lost them and has joined anew.
    """

    def __init__(
        self,
        cluster: KafkaCluster,
        group: str,
        topics: Sequence[str],
        session: int,
        let_go: Callable[[], None],
    ) -> None:
        self._cluster, self._let_go = cluster, let_go
        self._places: list[Place] = []
        self._proof: Any = None
        self._lost = self._closed = False
        self._group, self._topic = group, topics[0]
        self._teller: KafkaTransaction | None = None
        times = {"session.timeout.ms": session, "heartbeat.interval.ms": max(session // 10, 100)}
        name = {"group.id": group}
        self._consumer: Any = made(client().Consumer, cluster, **JOINING, **times, **name)
        heard = {"on_assign": self._given, "on_revoke": self._taken, "on_lost": self._gone}
        self._consumer.subscribe(list(topics), **heard)

    def partitions(self) -> Sequence[str]:
        """What is ours now, as "topic/0"."""
        while (told := acting(self._cluster, self._consumer.poll, 0)) is not None:
            self._heed(told.error())
        if self._lost:
            raise self._void()
        return [f"{topic}/{number}" for topic, number in self._places]

    def claim(self, offsets: Mapping[str, Offset]) -> KafkaClaim:
        """How far an epoch has read; it holds until the partitions go to others."""
        if self._proof is None:
            raise self._void()
        named = ((name.rpartition("/"), at["offset"]) for name, at in offsets.items())
        places = [
            client().TopicPartition(topic, int(number), at) for (topic, _, number), at in named
        ]
        return KafkaClaim(self, places, self._proof)

    def tell(self, claim: KafkaClaim) -> None:
        """Tell the group how far all is published, and hear that it knows.

        By a transaction with nothing else in it: the consumer's own commit has no proof but that
        of now, and could wait for ever in another thread while the group is divided anew.
        """
        try:
            self._teller = self._teller or self._new_teller()
            self._teller.begin()
            claim.join(self._teller)
            self._teller.commit()
        except RetryLater as error:
            raise BeginAgain(error.what) from None

    def close(self) -> None:
        """Leave the group: what was ours goes to others at once."""
        if not self._closed:
            self._closed = True
            if self._teller is not None:
                self._teller.close()
            with suppress(client().KafkaException, RuntimeError):
                self._consumer.close()

    def _given(self, consumer: Any, places: list[Any]) -> None:
        self._places = [(one.topic, one.partition) for one in places]
        self._proof = consumer.consumer_group_metadata()
        consumer.assign([])  # the feed reads them

    def _taken(self, _consumer: Any, _places: list[Any]) -> None:
        if not self._closed:
            self._let_go()
        self._places, self._proof = [], None

    def _gone(self, _consumer: Any, _places: list[Any]) -> None:
        self._lost = True

    def _new_teller(self) -> KafkaTransaction:
        name = {"transactional.id": f"pds-{self._group}-{secrets.token_hex(8)}"}
        times = {"transaction.timeout.ms": micros(BRIEF) // 1000}
        return KafkaTransaction(KafkaSending(self._cluster, **name, **times), self._topic)

    def _heed(self, error: Any) -> None:
        """What does not heal by itself is raised."""
        told = telling(error, self._cluster.place) if error else None
        if told is not None and not isinstance(told, RetryLater):
            raise told

    def _void(self) -> BeginAgain:
        what = f"{self._cluster.place}: the group has given the partitions to others meanwhile"
        return BeginAgain(what)
