"""Reads a Redis list from its head, and what is published on a channel."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydatastream.core.batch import Batch, Offset
from pydatastream.core.errors import SourceGap
from pydatastream.core.source import Read
from pydatastream.parts.messaging.inbox import Inbox
from pydatastream.parts.redis.keys import beside
from pydatastream.parts.redis.line import Line
from pydatastream.parts.redis.place import RedisPlace
from pydatastream.parts.redis.stream import PATIENCE, Portions


def counter_of(key: str) -> str:
    """The key that counts what was taken from a list; two lists of one hash tag have their own."""
    return beside(key, "read", key)


@dataclass
class ListReader:
    """Reads values by their number since the list was first read; `commit` removes them."""

    line: Line
    key: str
    inbox: Inbox
    job: Read
    stops: bool

    def __iter__(self) -> Iterator[Batch | None]:
        portions, known, until = Portions(self.job), self.job.resume, self.job.until
        removed, length = self._state()
        at: int = known["n"] if known else removed
        end: int | None = until["n"] if until else removed + length if self.stops else None
        while end is None or at < end:
            most = portions.count if end is None else min(portions.count, end - at)
            values = self._values(at, most)
            if values:
                portions.seen(values)
                decoded = self.inbox.read(values, lambda n, first=at: f"value {first + n}")  # type: ignore[misc]
                at += len(values)
                yield Batch(decoded.rows, {"n": at}, decoded.dead)
            elif end is not None:
                return
            else:
                time.sleep(0.002)
                yield None

    def commit(self, offset: Offset) -> None:
        """Remove what is done, and count it, at once."""
        removed, _ = self._state()
        done = offset["n"] - removed
        if done > 0:
            count = ("SET", counter_of(self.key), offset["n"])
            self.line.ask_all(("LTRIM", self.key, done, -1), count)

    def close(self) -> None:
        """Hang up; what is not done stays in the list."""
        self.line.close()

    def _state(self) -> tuple[int, int]:
        removed, length = self.line.ask_all(("GET", counter_of(self.key)), ("LLEN", self.key))
        if isinstance(length, Exception):
            raise self.line.meaning(length)
        return int(removed or 0), length

    def _values(self, at: int, most: int) -> list[bytes]:
        removed, length = self._state()
        if not removed <= at <= removed + length:
            what = f"list {self.key!r} holds values {removed} to {removed + length}, not {at}"
            hint = "nobody else may take from it: use a stream with `group:` for several readers"
            raise SourceGap(what, hint=hint)
        if at == removed + length:
            return []
        found: list[bytes] = self.line.ask(
            "LRANGE", self.key, at - removed, at - removed + most - 1
        )
        return found


class ChannelReader:
    """Reads what is published while it listens."""

    def __init__(self, place: RedisPlace, channel: str, inbox: Inbox, job: Read) -> None:
        self._inbox, self._most, self._n = inbox, job.rows, 0
        self._line = Line(place, channel)
        verb = "PSUBSCRIBE" if any(sign in channel for sign in "*?[") else "SUBSCRIBE"
        self._line.ask(verb, channel)

    def __iter__(self) -> Iterator[Batch | None]:
        while True:
            values = self._heard()
            if not values:
                yield None
                continue
            decoded = self._inbox.read(values, lambda n: f"message {self._n + n}")
            self._n += len(values)
            yield Batch(decoded.rows, {"n": self._n}, decoded.dead)

    def commit(self, offset: Offset) -> None:
        """Nothing to tell: a channel keeps nothing."""

    def close(self) -> None:
        """Stop listening."""
        self._line.close()

    def _heard(self) -> list[bytes]:
        found: list[Any] = self._line.pushed(PATIENCE / 1000, self._most)
        return [one[-1] for one in found if one[0] in (b"message", b"pmessage")]
