"""Reads a Redis stream as one worker of a group: each entry goes to one of them.

What was read stays pending until it is acknowledged, so a worker that comes back goes on with
what it had. Entries that it reads are pending under its name, and their ids only grow: those up
to the id of an offset were given before. What it takes over from a dead worker is pending under
a name of its own, "<worker>:claimed", and offsets list it until it is acknowledged.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence

from pydatastream.core.batch import Batch, Offset
from pydatastream.core.source import Read
from pydatastream.parts.redis.again import Part, again
from pydatastream.parts.redis.entries import Entries, Entry
from pydatastream.parts.redis.pending import Group
from pydatastream.parts.redis.stream import PATIENCE, ZERO, Facts, Portions


class GroupReader:
    """Reads as one worker; a batch's offset says exactly which entries it holds.

    `claim_after` is in seconds.
    """

    def __init__(
        self, group: Group, entries: Entries, job: Read, start: str, claim_after: float
    ) -> None:
        self._group, self._entries, self._job = group, entries, job
        self._start, self._claim_after = start, claim_after
        known = job.resume or {"id": ZERO, "count": 0, "claimed": ()}
        self._last: str = known["id"]
        self._count: int = known["count"]
        self._claimed: list[str] = list(known["claimed"])
        self._held: deque[tuple[int, list[bytes]]] = deque()
        self._portions, self._looked, self._swept = Portions(job), 0.0, False

    def __iter__(self) -> Iterator[Batch | None]:
        if self._job.until:
            yield again(self._group, self._entries, self._job.until)
            return
        self._group.join({"earliest": "0", "latest": "$"}.get(self._start, self._start))
        yield from self._own()
        yield from self._taken_before()
        while True:
            yield from self._taken_over()
            yield self._next()

    def commit(self, offset: Offset) -> None:
        """Acknowledge every entry up to here; the first time, those of earlier readers too."""
        ids = [one.encode() for one in offset["claimed"]]
        while self._held and self._held[0][0] <= offset["count"]:
            ids += self._held.popleft()[1]
        if not self._swept:
            ids += self._group.ids(self._group.worker, offset["id"])
            self._swept = True
        self._group.acknowledge(ids)
        done = set(offset["claimed"])
        self._claimed = [one for one in self._claimed if one not in done]

    def close(self) -> None:
        """Hang up; what is not acknowledged stays pending."""
        self._group.line.close()

    def _own(self) -> Iterator[Batch]:
        """What this worker has read, and never got done."""
        group = self._group
        while entries := group.pending(group.worker, self._last, self._portions.count):
            yield self._read(entries, {"ids": _ids(entries)})

    def _taken_before(self) -> Iterator[Batch]:
        """What this worker had taken over, and never got done."""
        at, done = ZERO, set(self._claimed)
        group = self._group
        while entries := group.pending(group.claimer, at, self._portions.count):
            at = entries[-1][0].decode()
            if left := [one for one in entries if one[0].decode() not in done]:
                yield self._claim(left)

    def _taken_over(self) -> Iterator[Batch]:
        """What other workers hold that are silent for too long."""
        now = time.monotonic()
        if now - self._looked >= min(self._claim_after / 4, 10):
            self._looked = now
            for entries in self._group.silent(round(self._claim_after * 1000)):
                yield self._claim(entries)

    def _next(self) -> Batch | None:
        """What nobody has read yet."""
        line, stream = self._group.line, self._group.stream
        told, groups, found = line.ask_all(
            ("XINFO", "STREAM", stream),
            ("XINFO", "GROUPS", stream),
            self._group.reading(self._group.worker, ">", self._portions.count),
        )
        if isinstance(found, Exception):
            raise line.meaning(found)
        facts = Facts.of(told)
        self._group.check(facts, groups)
        if not found:
            line.ask("XREAD", "COUNT", 1, "BLOCK", PATIENCE, "STREAMS", stream, facts.last)
            return None
        entries = found[0][1]
        ids = {"first": entries[0][0].decode(), "last": entries[-1][0].decode()}
        return self._read(entries, {**ids, "count": len(entries)})

    def _read(self, entries: Sequence[Entry], part: Part) -> Batch:
        self._last = entries[-1][0].decode()
        self._held.append((self._count + len(entries), [one[0] for one in entries]))
        self._portions.seen_entries(entries)
        return self._batch(entries, part)

    def _claim(self, entries: Sequence[Entry]) -> Batch:
        self._claimed += _ids(entries)
        return self._batch(entries, {"ids": _ids(entries)})

    def _batch(self, entries: Sequence[Entry], part: Part) -> Batch:
        self._count += len(entries)
        offset = {"id": self._last, "count": self._count, "part": part}
        decoded = self._entries.read(entries)
        return Batch(decoded.rows, {**offset, "claimed": list(self._claimed)}, decoded.dead)


def _ids(entries: Sequence[Entry]) -> list[str]:
    return [one[0].decode() for one in entries]
