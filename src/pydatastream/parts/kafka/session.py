"""What a source of Kafka has open."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydatastream.core.errors import RetryLater
from pydatastream.parts.kafka.admin import Asked, KafkaAdmin, Place
from pydatastream.parts.kafka.feed import KafkaFeed


@dataclass(slots=True)
class KafkaSession:
    """What a source has open, and what it was told since."""

    admin: KafkaAdmin | None = None
    feed: KafkaFeed | None = None
    first: frozenset[Place] = frozenset()
    """The partitions there were at the start; another one is new, and read from its beginning."""
    places: list[Place] = field(default_factory=list)
    asked: Asked | None = None
    """The answer that tells what partitions there are now."""
    away: RetryLater | None = None
    """Why there was no answer, until there is one again."""
    ends: dict[Place, int] = field(default_factory=dict)
