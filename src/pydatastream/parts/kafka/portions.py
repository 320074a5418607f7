"""Messages as the client hands them over: how many, and which are of one partition."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, groupby
from typing import TYPE_CHECKING, Any

from pydatastream.parts.kafka.admin import Place
from pydatastream.parts.kafka.library import client

if TYPE_CHECKING:
    from confluent_kafka import Message

Get = Callable[["Message"], Any]
VALUE = "__value"
"""The column that every portion has."""

FETCHING = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",  # never go elsewhere in silence
    "enable.partition.eof": True,
    "allow.auto.create.topics": False,
    # With the default, a pause of 1 s when the queue is full, reading is three times as slow.
    "fetch.queue.backoff.ms": 5,
    "fetch.wait.max.ms": 50,  # after so long it is known that a partition ends
    "fetch.error.backoff.ms": 100,
    # What waits in the client is bounded by this, however long the backlog is: a short message
    # needs ten times its size there, and more of them in the queue make reading no faster.
    "queued.min.messages": 100_000,
    "queued.max.messages.kbytes": 16 << 10,
    "fetch.message.max.bytes": 1 << 20,
    "fetch.max.bytes": 64 << 20,
}
"""How the client fetches: early, but not without end, and no message that it chooses itself."""


def by_place(messages: list[Message]) -> Iterator[tuple[Place, list[Message]]]:
    """Runs of messages of one partition, in their order."""
    message = client().Message
    for topic, run in _runs(messages, message.topic):
        for partition, part in _runs(run, message.partition):
            yield (topic, partition), part


def _runs(messages: list[Message], get: Get) -> Iterator[tuple[Any, list[Message]]]:
    """Runs of messages that are alike; most often that is all of them, which is seen faster."""
    kinds = set(map(get, messages))
    if len(kinds) == 1:
        yield kinds.pop(), messages
    else:
        yield from ((kind, list(run)) for kind, run in groupby(messages, get))


def _offsets(messages: list[Message]) -> Sequence[int]:
    """Where messages of one partition stand: mostly there is none missing between two."""
    if not messages:
        return ()
    first, last = messages[0].offset() or 0, messages[-1].offset() or 0
    if last - first == len(messages) - 1:
        return range(first, last + 1)
    return list(map(client().Message.offset, messages))


class Portion:
    """Messages of one partition, as columns: so they are small, and the client's are free again."""

    def __init__(self, gets: Mapping[str, Get]) -> None:
        self._gets = gets
        self.offsets: list[int] = []
        """Where the messages stand."""
        self.columns: dict[str, list[Any]] = {name: [] for name in gets}

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def values(self) -> list[bytes | None]:
        """What they hold; None: a tombstone."""
        return self.columns[VALUE]

    def place(self, number: int) -> str:
        """Where one message stands, in words."""
        return f"offset {self.offsets[number]}"

    def take(self, messages: list[Message]) -> None:
        """Add what this holds of its messages, of those that follow."""
        self.offsets += _offsets(messages)
        for name, get in self._gets.items():
            self.columns[name] += map(get, messages)

    def extend(self, later: Portion) -> None:
        """Take over messages that follow."""
        self.offsets += later.offsets
        for name, column in later.columns.items():
            self.columns[name] += column

    def none(self) -> Portion:
        """A portion of the same columns that holds no message yet."""
        return Portion(self._gets)

    def of(self, numbers: slice | Sequence[int]) -> Portion:
        """Some of the messages."""
        some = self.none()
        some.offsets = _picked(self.offsets, numbers)
        some.columns = {name: _picked(column, numbers) for name, column in self.columns.items()}
        return some

    def fitting(self, rows: int, size: int) -> int:
        """How many of the first messages go into a batch; one at least, if there is one."""
        values = self.values[:rows]
        if sum(map(len, filter(None, values))) <= size:
            return len(values)
        sizes = accumulate(len(one or b"") for one in values)
        return max(next(n for n, total in enumerate(sizes) if total > size), 1)


def _picked(column: list[Any], numbers: slice | Sequence[int]) -> list[Any]:
    return column[numbers] if isinstance(numbers, slice) else [column[n] for n in numbers]
