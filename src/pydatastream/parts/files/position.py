"""Where a reader of files stands: which file it is, how far, and what came before."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydatastream.core.batch import Offset
from pydatastream.core.errors import SourceGap

HEAD = 1024
"""So many bytes at the start of a file tell it from another that has its number."""

KEPT = 32
"""So many files before the current one are remembered."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which file it is, whatever its name: its number and its first bytes."""

    inode: int
    device: int
    length: int
    """How many bytes `head` is the hash of: HEAD, or all there were."""
    head: str

    @classmethod
    def of(cls, descriptor: int) -> Identity:
        """The identity of an open file."""
        start, status = os.pread(descriptor, HEAD, 0), os.fstat(descriptor)
        return cls(status.st_ino, status.st_dev, len(start), _hash(start))

    def holds(self, descriptor: int) -> bool:
        """Whether an open file is the one; its device may have been mounted anew."""
        return os.fstat(descriptor).st_ino == self.inode and self.starts(descriptor)

    def starts(self, descriptor: int) -> bool:
        """Whether an open file starts like it: it may be a copy."""
        return _hash(os.pread(descriptor, self.length, 0)) == self.head


def _hash(start: bytes) -> str:
    return hashlib.sha256(start).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Position:
    """A place in one of the files of a partition."""

    identity: Identity
    at: int
    """Bytes of content before it, unpacked; in a file of groups, whole groups."""
    row: int = 0
    """Rows of the next group before it."""
    broken: bool = False
    """The rest of the file could not be read, and has become a dead letter."""
    end: bool = False
    """Nothing stood behind it when it was reached."""
    count: int = 0
    """How many files of the partition came before."""
    past: tuple[tuple[int, int], ...] = ()
    """Inode and end of the last of those."""

    @classmethod
    def of(cls, offset: Offset) -> Position:
        """The position in an offset."""
        known = dict(offset)
        identity = Identity(*(known.pop(key) for key in ("inode", "device", "length", "head")))
        past = tuple((inode, end) for inode, end in known.pop("past", ()))
        return cls(identity, past=past, **known)

    def offset(self) -> dict[str, Any]:
        """The position as JSON-able data, without what is not so."""
        one = self.identity
        told = {"inode": one.inode, "device": one.device, "length": one.length, "head": one.head}
        past = [list(pair) for pair in self.past]
        flags = {"broken": self.broken, "end": self.end}
        more = {"row": self.row, **flags, "count": self.count, "past": past}
        return {**told, "at": self.at, **{key: value for key, value in more.items() if value}}

    def next(self, identity: Identity) -> Position:
        """The start of the file that follows."""
        past = (*self.past, (self.identity.inode, self.at))[-KEPT:]
        return Position(identity, 0, count=self.count + 1, past=past)

    def passed_since(self, start: Position | None) -> tuple[tuple[int, int], ...] | None:
        """Inode and end of the files from `start`'s up to this; None: not remembered."""
        passed = self.count - (start.count if start else 0)
        return self.past[len(self.past) - passed :] if passed <= len(self.past) else None


def refuse_gaps(place: str, gone: Mapping[str, Offset]) -> None:
    """Raise `SourceGap` for a file of a place that is gone, unless it was read to its end."""
    for name, offset in gone.items():
        if not (offset.get("end") or offset.get("broken")):
            raise SourceGap(
                f"{place}: {name} is no longer there, and not all of its rows were read",
                hint="bring the file back as it was, or start afresh with a new checkpoint",
            )
