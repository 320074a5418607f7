"""What is known of a Redis stream: places in it, how far it goes, what is gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydatastream.core.errors import ConfigError, SourceGap
from pydatastream.core.source import Read
from pydatastream.parts.redis.entries import Entry

FIRST, MOST = 64, 8192
"""Entries asked for at first, before their size is known, and at most: more are no faster."""

PATIENCE = 90
"""Milliseconds to wait for an entry that has not come yet."""

ZERO = "0-0"


class Portions:
    """How many entries to ask for, so that a reply holds about so many bytes."""

    def __init__(self, job: Read) -> None:
        self._most, self._bytes = min(job.rows, MOST), job.bytes
        self.count = min(self._most, FIRST)

    def seen_entries(self, entries: Sequence[Entry]) -> None:
        """Some entries came."""
        self.seen([b"".join(fields) for _, fields in entries[:FIRST]])

    def seen(self, values: Sequence[bytes]) -> None:
        """Some values came, of this size."""
        size = max(1, sum(map(len, values)) // max(1, len(values)))
        self.count = max(1, min(self._most, 4 * self.count, self._bytes // size))


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a stream: how far, how it was begun, and how many entries were there before."""

    id: str = ZERO
    read: int = 0
    """Entries read since the beginning."""
    begun: str = ZERO
    """The id after which reading began."""
    before: int = 0
    """Entries that were added before those that are read."""

    def offset(self) -> dict[str, Any]:
        """The position as JSON-able data."""
        return {"id": self.id, "read": self.read, "begun": self.begun, "before": self.before}

    def after(self, entries: Sequence[Entry]) -> Place:
        """The position behind more entries."""
        return replace(self, id=entries[-1][0].decode(), read=self.read + len(entries))


@dataclass(frozen=True, slots=True)
class Facts:
    """What XINFO STREAM says."""

    length: int = 0
    last: str = ZERO
    added: int | None = None
    """Entries ever added; None: too old a server to know."""
    thinned: bool = False
    """Whether single entries were deleted: then what is gone cannot be counted."""
    there: bool = False

    @classmethod
    def of(cls, reply: Any) -> Facts:
        """The facts in a reply; a refusal means that there is no stream."""
        if isinstance(reply, Exception):
            return cls()
        told = dict(zip(reply[0::2], reply[1::2], strict=True))
        thinned = told.get(b"max-deleted-entry-id", b"0-0") != b"0-0"
        last = told[b"last-generated-id"].decode()
        return cls(told[b"length"], last, told.get(b"entries-added"), thinned, there=True)

    @property
    def gone(self) -> int:
        """How many entries were removed."""
        return 0 if self.added is None or self.thinned else self.added - self.length


def lag_of(reply: Any, group: str) -> dict[str, float]:
    """Entries that a group has not read, and those not acknowledged, of what XINFO GROUPS says."""
    groups = [] if isinstance(reply, Exception) else reply
    told = [dict(zip(one[0::2], one[1::2], strict=True)) for one in groups]
    mine = [one for one in told if one[b"name"] == group.encode()]
    counts = {"lag": b"lag", "pending": b"pending"}
    return {
        name: float(one[key]) for one in mine for name, key in counts.items()
        if one.get(key) is not None
    }  # fmt: skip


def gap(stream: str, what: str, hint: str | None = None) -> SourceGap:
    """The error for entries that must be read and are gone."""
    usual = "a larger `maxlen` where it is written; start afresh with another checkpoint"
    return SourceGap(f"stream {stream!r} {what}", hint=hint or usual)


def number(entry: str) -> tuple[int, int]:
    """An id as numbers, which sort as entries do."""
    time, _, sequence = entry.partition("-")
    return int(time), int(sequence or 0)


def expect_id(start: str) -> None:
    """Raise `ConfigError` for a start that is none."""
    time, dash, sequence = start.partition("-")
    if start not in ("earliest", "latest") and not (time + sequence * bool(dash)).isdecimal():
        hint = 'earliest, latest, or an id such as "1700000000000-0"'
        raise ConfigError(f"start: {start!r} is no place in a stream", hint=hint)
