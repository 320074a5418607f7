"""What Kafka itself remembers of an output: its last epoch and owner, in a compacted topic."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from pydatastream.core.errors import ConfigError, RetryLater
from pydatastream.parts.kafka.admin import KafkaAdmin
from pydatastream.parts.kafka.cluster import KafkaCluster
from pydatastream.parts.kafka.feed import KafkaFeed
from pydatastream.parts.kafka.library import client
from pydatastream.parts.kafka.rows import KEY
from pydatastream.parts.kafka.sending import Message

TAIL = 1000
"""So many of the last records are looked at before all of them are."""

PATIENCE = 60.0
"""Seconds that others' open transactions may keep us from reading to the end."""

_CONFIG = {"cleanup.policy": "compact", "segment.bytes": str(16 << 20)}


@dataclass(frozen=True, slots=True)
class KafkaMarker:
    """The last epoch of an output, None before the first, and who writes it."""

    epoch: int | None
    owner: str | None


class KafkaMarkers:
    """The markers of one output, named `pipeline/output`, in a topic that outputs share."""

    def __init__(self, cluster: KafkaCluster, admin: KafkaAdmin, topic: str, name: str) -> None:
        self._cluster, self._admin, self._topic, self._name = cluster, admin, topic, name

    def ensure(self) -> None:
        """Make the topic, unless it is there."""
        try:
            self._admin.topics([self._topic])
        except ConfigError:
            self._admin.create(self._topic, 1, -1, **_CONFIG)

    def record(self, marker: KafkaMarker) -> Message:
        """The message that makes this the last marker."""
        value = {"epoch": marker.epoch, "owner": marker.owner}
        return {"key": self._name, "value": json.dumps(value).encode()}

    def last(self) -> KafkaMarker:
        """The last marker of a transaction that was committed."""
        place = (self._topic, 0)
        low = self._admin.ends([place], "earliest")[place]
        high = self._admin.ends([place], committed=False)[place]
        for start in sorted({max(low, high - TAIL), low}, reverse=True):
            found = self._read(start, high) if start < high else None
            if found is not None:
                return KafkaMarker(**json.loads(found))
        return KafkaMarker(None, None)

    def _read(self, start: int, end: int) -> bytes | None:
        """Our last record up to `end`; records of open transactions are waited for."""
        place, at, over = (self._topic, 0), start, time.monotonic() + PATIENCE
        found: bytes | None = None
        feed = KafkaFeed(self._cluster, None, "read_committed")
        feed.open(place, start, {KEY: client().Message.key})
        try:
            while at < end and feed.reached(place) < end:
                some = feed.take(place, TAIL, 1 << 20)
                at = some.offsets[-1] + 1 if some else at
                for key, value in zip(some.columns[KEY], some.values, strict=True):
                    found = value if key == self._name.encode() else found
                if time.monotonic() > over:
                    what = f"{self._cluster.place}: topic {self._topic} is held by a transaction"
                    hint = "`kafka-transactions.sh find-hanging` tells whether it will never end"
                    raise RetryLater(what, hint=hint)
        finally:
            feed.close(place)
        return found
