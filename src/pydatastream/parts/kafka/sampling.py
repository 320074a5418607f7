"""A few of the newest messages, to tell what columns there are."""

from __future__ import annotations

import time
from collections.abc import Mapping

from pydatastream.core.format import SAMPLE_BYTES
from pydatastream.parts.kafka.admin import PATIENCE, Place
from pydatastream.parts.kafka.feed import KafkaFeed

SAMPLED = 1000
"""So many of the newest messages are looked at to infer a schema."""


def sampled(feed: KafkaFeed, starts: Mapping[Place, int], ends: Mapping[Place, int]) -> list[bytes]:
    """The messages between two offsets of each partition, as far as they come in time."""
    found, over = list[bytes](), time.monotonic() + PATIENCE
    for place, start in starts.items():
        feed.open(place, start)
    waiting = {place: ends[place] for place in starts}
    while waiting and time.monotonic() < over:
        for place, end in list(waiting.items()):
            portion = feed.take(place, SAMPLED, SAMPLE_BYTES)
            found += [value for value in portion.values if value is not None]
            if feed.reached(place) >= end or (portion and portion.offsets[-1] >= end - 1):
                del waiting[place]
    for place in starts:
        feed.close(place)
    return found
