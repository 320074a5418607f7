"""What is pending in a group: read by a worker, and not acknowledged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydatastream.core.errors import BeginAgain, SourceGap, StopError
from pydatastream.parts.redis.entries import Entry
from pydatastream.parts.redis.line import Line
from pydatastream.parts.redis.stream import Facts, gap

CLAIMS = 1000
"""Entries taken over, or acknowledged, by one command."""


@dataclass(frozen=True, slots=True)
class Group:
    """One worker of a group, and the commands it needs."""

    line: Line
    stream: str
    name: str
    worker: str

    @property
    def claimer(self) -> str:
        """The name under which what was taken over is pending."""
        return f"{self.worker}:claimed"

    def join(self, start: str) -> None:
        """Make the group if it is not there."""
        try:
            self.line.ask("XGROUP", "CREATE", self.stream, self.name, start, "MKSTREAM")
        except StopError as error:
            if "BUSYGROUP" not in error.what:
                raise

    def reading(self, worker: str, after: str, count: int) -> tuple[Any, ...]:
        """The command that reads what is pending behind an id; ">": what nobody has read."""
        words = ("XREADGROUP", "GROUP", self.name, worker, "COUNT", count)
        return (*words, "STREAMS", self.stream, after)

    def pending(self, worker: str, after: str, count: int) -> Sequence[Entry]:
        """Entries pending for a worker; `SourceGap` if some are no longer in the stream."""
        reply = self.line.ask(*self.reading(worker, after, count))
        found: Sequence[Entry] = reply[0][1] if reply else []
        if lost := [one[0] for one in found if one[1] is None]:
            some = b" ".join(lost[:9]).decode()
            hint = f"if they may go: XACK {self.stream} {self.name} {some}"
            what = f"stream {self.stream!r}: {len(lost)} pending entries are no longer there"
            raise SourceGap(what, hint=hint)
        return found

    def ids(self, worker: str, upto: str) -> list[bytes]:
        """The ids pending for a worker up to one."""
        found: list[bytes] = []
        start = "-"
        while rows := self._rows(start, upto, CLAIMS, worker):
            found += [row[0] for row in rows]
            start = f"({rows[-1][0].decode()}"
        return found

    def silent(self, idle: int) -> Iterator[Sequence[Entry]]:
        """Take over what other workers have held for so many milliseconds."""
        start, own = "-", (self.worker.encode(), self.claimer.encode())
        listing = ("XPENDING", self.stream, self.name, "IDLE", idle)
        while rows := self.line.ask(*listing, start, "+", CLAIMS):
            start = f"({rows[-1][0].decode()}"
            ids = [row[0] for row in rows if row[1] not in own]
            taking = ("XCLAIM", self.stream, self.name, self.claimer, idle, *ids)
            if ids and (entries := [one for one in self.line.ask(*taking) if one and one[1]]):
                yield entries

    def acknowledge(self, ids: Sequence[bytes]) -> None:
        """These are done."""
        for at in range(0, len(ids), CLAIMS):
            self.line.ask("XACK", self.stream, self.name, *ids[at : at + CLAIMS])

    def expect_owned(self, ids: Sequence[str]) -> None:
        """Raise `BeginAgain` unless all of these are pending for this worker."""
        asked = [("XPENDING", self.stream, self.name, one, one, 1) for one in ids]
        own = (self.worker.encode(), self.claimer.encode())
        if not all(reply and reply[0][1] in own for reply in self.line.ask_all(*asked)):
            raise BeginAgain(
                f"stream {self.stream!r}: another worker has taken over what {self.worker!r} "
                f"was at work on, {ids[0]} to {ids[-1]}"
            )

    def check(self, facts: Facts, groups: Any) -> None:
        """Raise `SourceGap` if entries were trimmed that no worker has read."""
        for reply in [] if isinstance(groups, Exception) else groups:
            told = dict(zip(reply[0::2], reply[1::2], strict=True))
            read = told.get(b"entries-read")
            if told[b"name"].decode() == self.name and read is not None and facts.gone > read:
                at = told[b"last-delivered-id"].decode()
                what = f"was trimmed: {facts.gone - read} entries behind {at} are gone"
                hint = f"to go on without them: XGROUP SETID {self.stream} {self.name} {at}"
                raise gap(self.stream, what, hint)

    def _rows(self, start: str, end: str, count: int, worker: str) -> list[Any]:
        words = ("XPENDING", self.stream, self.name, start, end, count, worker)
        rows: list[Any] = self.line.ask(*words)
        return rows
