"""How a pipeline names a queue of SQS, and how many calls go to it at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

from pydantic import Field

from pydatastream.parts.aws.access import AwsAccess
from pydatastream.parts.aws.errors import speaking

MOST = 10
"""Messages in one call, by SQS's own limit."""

LARGEST = 262_144
"""Bytes of a message, and of all in one call, where the queue does not say."""


class SqsQueue(AwsAccess):
    """A queue, by its name or its address."""

    queue: str = Field(min_length=1)
    """The queue's name or URL; a FIFO queue's ends in ".fifo"."""
    base64: bool = False
    """Payloads are base64: for formats that are not text, as SQS carries only text."""

    @property
    def fifo(self) -> bool:
        """Whether it keeps order, and drops what it got before."""
        return self.queue.endswith(".fifo")

    def door(self) -> SqsDoor:
        """The queue, not yet asked anything."""
        return SqsDoor(self)


class SqsDoor:
    """A queue that is spoken to."""

    def __init__(self, at: SqsQueue) -> None:
        self._at, self.name = at, f"sqs queue {at.queue}"

    @cached_property
    def client(self) -> Any:
        """The client, made when it is needed."""
        return self._at.client("sqs", 32)

    @cached_property
    def url(self) -> str:
        """The queue's address; `ConfigError` if there is none of that name."""
        if "://" in self._at.queue:
            return self._at.queue
        with self.speaking():
            return str(self.client.get_queue_url(QueueName=self._at.queue)["QueueUrl"])

    def speaking(self) -> AbstractContextManager[None]:
        """Turn failures into errors that say what to do."""
        return speaking(self.name, self._at.endpoint_url)

    def number(self, attribute: str, usual: int) -> int:
        """One of the queue's own settings."""
        with self.speaking():
            found = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])
            return int(found["Attributes"].get(attribute, usual))

    def batches(self, call: str, entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Call with ten entries at a time; what failed, as the answers say."""
        failed: list[dict[str, Any]] = []
        for at in range(0, len(entries), MOST):
            some = [{"Id": str(n), **one} for n, one in enumerate(entries[at : at + MOST])]
            with self.speaking():
                answer = getattr(self.client, call)(QueueUrl=self.url, Entries=some)
                told = [*answer.get("Successful", ()), *answer.get("Failed", ())]
                if len(told) < len(some):
                    raise KeyError("Successful")
            failed += answer.get("Failed", ())
        return failed
