"""Messages on their way to a topic of Kafka: in order, not too many at once, none lost unseen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from pydatastream.core.errors import PdsError, RetryLater
from pydatastream.parts.kafka.cluster import KafkaCluster, telling
from pydatastream.parts.kafka.library import client, made

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

CHUNK = 10_000
"""Messages that are handed to the client in one call."""

MOST, MOST_BYTES = 200_000, 64 << 20
"""Messages and bytes that may be under way."""

SILENCE = 10.0
"""Seconds without any answer after which the cluster counts as out of reach."""

SENDING: dict[str, Any] = {
    "enable.idempotence": True,  # the client's own retries neither repeat nor reorder
    "acks": "all",
    "linger.ms": 1,
    "partitioner": "murmur2_random",  # a key goes where Java's clients would send it
    "delivery.report.only.error": True,
    "queue.buffering.max.messages": 2 * MOST,
    "queue.buffering.max.kbytes": 1 << 20,
}

Message = dict[str, Any]
"""`value` and `key` as bytes or text, `headers` as pairs."""


class KafkaSending:
    """A producer that waits when too much is under way, and says what went wrong."""

    def __init__(self, cluster: KafkaCluster, **settings: Any) -> None:
        self._cluster = cluster
        self._failed: list[KafkaError] = []
        self.producer: Any = made(client().Producer, cluster, **SENDING, **settings)

    def reach(self, topic: str) -> None:
        """Be connected to the cluster itself, which the second answer comes from.

        A transaction that begins before that may wait half a second for a connection.
        """
        for _ in ("a broker of our list", "the cluster"):
            self.acting(self.producer.list_topics, topic, SILENCE)

    def send(self, topic: str, messages: Iterable[Message]) -> None:
        """Hand messages over, in their order; they are under way when this returns."""
        rest = iter(messages)
        while chunk := list(islice(rest, CHUNK)):
            size = sum(len(one["value"] or b"") for one in chunk) // len(chunk) + 1
            self._wait(max(min(MOST, MOST_BYTES // size) - len(chunk), 0))
            self.acting(self._hand_over, topic, chunk)

    def flush(self) -> None:
        """Wait until all has arrived."""
        self._wait(0)
        self._check()

    def acting(self, act: Callable[..., Any], *given: Any) -> Any:
        """Do it; errors of the client become instructions."""
        try:
            return act(*given)
        except client().KafkaException as error:
            raise self.told(error.args[0]) from None

    def in_time(self, act: Callable[..., Any], *given: Any) -> None:
        """Do it in a thread, which is left behind if it takes more than `SILENCE`."""
        ended: Future[KafkaError | None] = Future()

        def do() -> None:
            try:
                act(*given)
            except client().KafkaException as error:  # its traceback would keep us alive
                ended.set_result(error.args[0])
            else:
                ended.set_result(None)

        threading.Thread(target=do, name="tell-kafka", daemon=True).start()
        try:
            error = ended.result(SILENCE)
        except TimeoutError:
            raise self._silent() from None
        if error is not None:
            raise self.told(error)

    def told(self, error: KafkaError) -> PdsError:
        """An error as an instruction."""
        return telling(error, self._cluster.place)

    def close(self) -> None:
        """Give up what is under way."""
        if self.producer is not None:
            with suppress(client().KafkaException):  # as when it was fenced off
                self.producer.purge()
                self.producer.flush(0)
            self.producer = None

    def _hand_over(self, topic: str, chunk: list[Message]) -> None:
        if "headers" in chunk[0]:
            for one in chunk:
                self.producer.produce(topic, **one, on_delivery=self._hear)
        elif self.producer.produce_batch(topic, chunk, on_delivery=self._hear) < len(chunk):
            raise self.told(next(one["_error"] for one in chunk if "_error" in one))
        self.producer.poll(0)

    def _wait(self, most: int) -> None:
        """Until no more than `most` messages are under way."""
        last, heard = len(self.producer), time.monotonic()
        while len(self.producer) > most:
            self._check()
            self.producer.flush(0.05) if most == 0 else self.producer.poll(0.01)
            if len(self.producer) < last:
                last, heard = len(self.producer), time.monotonic()
            elif time.monotonic() - heard > SILENCE:
                raise self._silent()

    def _silent(self) -> RetryLater:
        return RetryLater(f"{self._cluster.place} has not answered for {SILENCE:.0f} s")

    def _check(self) -> None:
        if self._failed:
            raise self.told(self._failed[0])

    def _hear(self, error: KafkaError | None, _message: Any) -> None:
        if error is not None:
            self._failed.append(error)
