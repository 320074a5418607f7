"""A partition of Kafka being read: batches, gaps and the end."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import polars as pl

from pydatastream.core.batch import Batch, Offset
from pydatastream.core.source import Read
from pydatastream.parts.kafka.admin import Place
from pydatastream.parts.kafka.feed import KafkaFeed, OffsetGone
from pydatastream.parts.kafka.portions import Portion
from pydatastream.parts.kafka.rows import Beside
from pydatastream.parts.messaging.inbox import Inbox


@dataclass(frozen=True, slots=True)
class Rows:
    """Makes batches of messages."""

    beside: Beside
    inbox: Inbox
    job: Read
    topic_id: str

    def batch(self, messages: Portion) -> Batch:
        decoded = self.beside.rows(messages, self.inbox)
        return Batch(decoded.rows, self.offset(messages.offsets[-1] + 1), decoded.dead)

    def none_up_to(self, offset: int) -> Batch:
        return Batch(pl.DataFrame(schema=self.job.schema), self.offset(offset))

    def offset(self, at: int) -> Offset:
        return {"offset": at, "topic_id": self.topic_id}


class Settled:
    """The beginning of a partition, settled before: no rows up to there."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def __iter__(self) -> Iterator[Batch | None]:
        yield self._batch

    def commit(self, offset: Offset) -> None:
        """Nothing was read."""

    def close(self) -> None:
        """Nothing is open."""


class KafkaReader:
    """Reads one partition, by a feed that it may share with others."""

    def __init__(
        self,
        feed: KafkaFeed,
        place: Place,
        rows: Rows,
        span: tuple[int, int | None],
        after_gap: Callable[[Place, int], int],
        *,
        fresh: bool,
    ) -> None:
        self._feed, self._place, self._rows, self._fresh = feed, place, rows, fresh
        self._after_gap = after_gap
        self._at, self._end = span
        feed.open(place, self._at, rows.beside.gets())

    def __iter__(self) -> Iterator[Batch | None]:
        if self._fresh:  # where it begins is on record before any row
            yield self._rows.none_up_to(self._at)
        while not self._is_over():
            messages = self._taken()
            if messages:
                self._at = max(self._at, messages.offsets[-1] + 1)
                yield self._rows.batch(messages)
            elif not self._is_over():
                yield None

    def commit(self, offset: Offset) -> None:
        self._feed.commit(self._place, offset["offset"])

    def close(self) -> None:
        self._feed.close(self._place)

    def _is_over(self) -> bool:
        """Whether the end was reached; its last message need not be one that we are given."""
        end = self._end
        return end is not None and (self._at >= end or self._feed.reached(self._place) >= end)

    def _taken(self) -> Portion | None:
        job = self._rows.job
        try:
            messages = self._feed.take(self._place, job.rows, job.bytes)
        except OffsetGone:
            self._at = self._after_gap(self._place, self._at)
            self._feed.move(self._place, self._at)
            return None
        end = self._end
        if end is None or not messages or messages.offsets[-1] < end:
            return messages
        self._at = end
        return messages.of(slice(bisect_left(messages.offsets, end)))
