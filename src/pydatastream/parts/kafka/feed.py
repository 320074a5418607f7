"""One consumer for all partitions of a Kafka source: what it hands out, and in what portions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from pydatastream.core.errors import PdsError, RetryLater
from pydatastream.parts.kafka.admin import PATIENCE, Place
from pydatastream.parts.kafka.cluster import KafkaCluster, telling
from pydatastream.parts.kafka.library import acting, client, made
from pydatastream.parts.kafka.portions import FETCHING, VALUE, Get, Portion, by_place

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message

PORTION = 500
"""Messages that are taken from the client at once: fewer objects than Python begins to look for
garbage at, and they are free again before the next ones come, which halves the time."""

MUCH = 10_000
"""Messages that show that more are waiting."""

MOST = 50_000
"""Messages that are taken before what came is decoded."""

WAIT = 0.05
"""Seconds in which all partitions are asked once when nothing comes."""


Arrived = dict[Place, tuple[Portion, list["Message"]]]
"""By partition, messages of it, and events that are no messages: its end, an error."""


class OffsetGone(Exception):
    """The next message of a partition is not there."""


class KafkaFeed:
    """Reads the partitions that are open, all by one consumer, each from its own offset."""

    def __init__(self, cluster: KafkaCluster, group: str | None, isolation: str) -> None:
        self._cluster, self._group = cluster, group
        name = {"group.id": group or "pydatastream", "isolation.level": isolation}
        self._consumer: Any = made(client().Consumer, cluster, **FETCHING, **name)
        self._waiting: dict[Place, Portion] = {}
        self._ends: dict[Place, int] = {}
        self._faults: dict[Place, KafkaError] = {}
        self._ahead = ThreadPoolExecutor(1, "fetch-kafka")
        self._pending: Future[Arrived] | None = None
        self.closed = False

    def open(self, place: Place, offset: int, beside: Mapping[str, Get] | None = None) -> None:
        """Start reading a partition; of each message its offset, its value, and what is beside."""
        if place[0] not in {topic for topic, _ in self._waiting}:
            # Asked now, or a client that is connected already looks for its leaders after a second.
            acting(self._cluster, self._consumer.list_topics, place[0], PATIENCE)
        self._waiting[place] = Portion({VALUE: client().Message.value, **(beside or {})})
        acting(self._cluster, self._consumer.incremental_assign, [self._at(place, offset)])

    def take(self, place: Place, rows: int, size: int) -> Portion:
        """What has come of a partition, at most so many messages and bytes; it may be none.

        Raises `OffsetGone` where the next one is not there.
        """
        if not self._waiting[place]:
            self._fill()
        waiting = self._waiting[place]
        if not waiting and place in self._faults:
            self._fail(place, self._faults.pop(place))
        count = waiting.fitting(rows, size)
        self._waiting[place] = waiting.of(slice(count, None))
        return waiting if count == len(waiting) else waiting.of(slice(count))

    def reached(self, place: Place) -> int:
        """Where a partition was seen to end, once all before was taken; -1: not seen yet."""
        return -1 if self._waiting[place] else self._ends.get(place, -1)

    def commit(self, place: Place, offset: int) -> None:
        """Tell the group how far we are: advice for people who watch it."""
        if self._group is not None:
            self._consumer.commit(offsets=[self._at(place, offset)], asynchronous=True)

    def committed(self, place: Place) -> int | None:
        """What the group was last told; None: nothing."""
        found = acting(self._cluster, self._consumer.committed, [self._at(place)], PATIENCE)[0]
        if found.error:  # such as a transaction at its end, which will tell
            raise self._telling(found.error, place)
        return found.offset if found.offset >= 0 else None

    def move(self, place: Place, offset: int) -> None:
        """Go on elsewhere in a partition."""
        self._consumer.incremental_unassign([self._at(place)])
        self._settle()
        self._ends.pop(place, None)
        self._waiting[place] = self._waiting[place].none()
        acting(self._cluster, self._consumer.incremental_assign, [self._at(place, offset)])

    def close(self, place: Place) -> None:
        """Stop reading a partition; with the last one, all is closed."""
        if place not in self._waiting:
            return
        self._consumer.incremental_unassign([self._at(place)])
        self._settle()
        del self._waiting[place]
        self._ends.pop(place, None)
        self._faults.pop(place, None)
        if not self._waiting:
            self.closed = True
            self._ahead.shutdown()
            self._consumer.close()

    def _settle(self) -> None:
        """Nothing is on its way any more that was asked for before."""
        if self._pending is not None:
            self._sort()

    def _at(self, place: Place, *offset: int) -> Any:
        return client().TopicPartition(*place, *offset)

    def _fill(self) -> None:
        """Take what has come for any partition; wait a little if that is nothing.

        Where much is waiting, the next is fetched while this is decoded.
        """
        count = self._sort()
        if not count and not any(self._waiting.values()):
            first = acting(self._cluster, self._consumer.poll, WAIT / len(self._waiting))
            count = self._sort([first] if first else [])
        if count >= MUCH:
            self._pending = self._ahead.submit(self._fetch)

    def _sort(self, first: Sequence[Message] = ()) -> int:
        """Put what was fetched where it is waited for; answers how many messages it was."""
        pending, self._pending = self._pending, None
        arrived = pending.result() if pending else self._fetch(first)
        for place, (portion, events) in arrived.items():
            if place in self._waiting:
                self._waiting[place].extend(portion)
                self._heed(place, events)
        return sum(len(portion) for portion, _ in arrived.values())

    def _fetch(self, first: Sequence[Message] = ()) -> Arrived:
        """What has come: by partition, and what the client has to say of those."""
        found: Arrived = {}
        for _ in range(MOST // PORTION):
            messages = [*first, *acting(self._cluster, self._consumer.consume, PORTION, 0)]
            for place, run in by_place(messages):
                if place in self._waiting:
                    if place not in found:
                        found[place] = (self._waiting[place].none(), [])
                    _put(run, *found[place])
            if len(messages) < PORTION:
                break
            first = ()
        return found

    def _heed(self, place: Place, events: list[Message]) -> None:
        for event in events:
            error: Any = event.error()
            if error.name() == "_PARTITION_EOF":
                self._ends[place] = event.offset() or 0
            elif not isinstance(self._telling(error, place), RetryLater):
                self._faults[place] = error  # the client itself tries the others again

    def _fail(self, place: Place, error: KafkaError) -> None:
        if error.name() == "_AUTO_OFFSET_RESET":
            raise OffsetGone(error.str())
        raise self._telling(error, place)

    def _telling(self, error: KafkaError, place: Place) -> PdsError:
        return telling(error, f"{self._cluster.place}, topic {place[0]} partition {place[1]}")


def _put(run: list[Message], portion: Portion, events: list[Message]) -> None:
    """Tell messages from events."""
    if any(map(client().Message.error, run)):
        events += [one for one in run if one.error()]
        run = [one for one in run if not one.error()]
    portion.take(run)
