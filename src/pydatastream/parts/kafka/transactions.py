"""One transaction of Kafka after the other, by a producer with a name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from pydatastream.core.errors import ConfigError, PdsError, RetryLater, StopError
from pydatastream.core.faults import fault_point
from pydatastream.parts.kafka.sending import KafkaSending, Message

PATIENCE = 10.0
"""Seconds that beginning and ending a transaction may take."""

BRIEF = "10s"
"""After so long a transaction is given up whose end others wait for."""

SHORT = 5.0
"""Seconds to give up a transaction when closing."""


class KafkaTransaction:
    """Opening it ends what a producer of this name has left open, and fences off that one.

    After an error inside a transaction nobody knows how it ends: then this is of no more use,
    which is what `RetryLater` says here.
    """

    def __init__(self, sending: KafkaSending, topic: str) -> None:
        self._sending, self._open = sending, False
        self._within(self._sending.reach, topic)
        self._within(self._sending.producer.init_transactions, PATIENCE)

    def begin(self) -> None:
        """Begin one; what was begun before is given up."""
        if self._open:
            self._within(self._sending.producer.abort_transaction, PATIENCE)
        self._within(self._sending.producer.begin_transaction)
        self._open = True
        fault_point("kafka.begun")

    def send(self, topic: str, messages: Iterable[Message]) -> None:
        """Send messages of rows."""
        self.add(topic, messages)
        fault_point("kafka.sent")

    def add(self, topic: str, messages: Iterable[Message]) -> None:
        """Send messages."""
        self._within(self._sending.send, topic, messages)

    def tell(self, offsets: list[Any], proof: Any) -> None:
        """Tell a group how far was read; the broker refuses it once the proof is void.

        The client forgets the time it is given where it has let go of the broker that it once
        asked for the group: it waits for that one without end (librdkafka#5511).
        """
        tell = self._sending.producer.send_offsets_to_transaction
        self._within(self._sending.in_time, tell, offsets, proof, PATIENCE)

    def commit(self) -> None:
        """Make all of it visible at once."""
        self._within(self._sending.producer.commit_transaction, PATIENCE)
        self._open = False

    def close(self) -> None:
        """Give up what is open; it may be closed twice."""
        if self._open:
            self._open = False
            with suppress(PdsError):
                self._within(self._sending.producer.abort_transaction, SHORT)
        self._sending.close()

    def _within(self, act: Callable[..., Any], *given: Any) -> None:
        """Do it as part of the transaction."""
        try:
            self._sending.acting(act, *given)
        except (ConfigError, RetryLater):
            self._open = False
            raise
        except StopError as error:
            self._open = False
            raise RetryLater(error.what) from None
