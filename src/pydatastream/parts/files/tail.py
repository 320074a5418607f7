"""Files that grow, are renamed and made anew: which file comes after which."""

from __future__ import annotations

import os
import re
import resource
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import NamedTuple

from pydatastream.parts.files.compressed import Compression, Content, content, packing_of
from pydatastream.parts.files.listing import PACKED, Listing, format_of
from pydatastream.parts.files.position import HEAD, Identity

GRACE = 1.0
"""Seconds a renamed file must be silent before it is left: its writer may still hold it."""

LEFT = 10.0
"""Seconds a removed file must be silent, with none to follow it, before it is let go."""

_ROTATED = r"\.\d{1,10}|-\d{6,14}|[.-]\d{4}-\d{2}-\d{2}.*"
_NAME = re.compile(rf"(.+?)(?:{_ROTATED})(?:\.gz|\.zst)?")


def rotation_of(name: str) -> str | None:
    """The name a log file had before rotation, if it looks rotated.

    >>> rotation_of("app.log.1"), rotation_of("app.log-20260101.gz"), rotation_of("app.log.bak")
    ('app.log', 'app.log', None)
    """
    found = _NAME.fullmatch(name)
    return found[1] if found else None


def tails(names: Collection[str]) -> list[str]:
    """The names to follow: a rotated file belongs to the name it had, even if that is gone."""
    bases = ((name, rotation_of(name)) for name in names)
    return sorted(
        {base if base and (base in names or format_of(base)) else name for name, base in bases}
    )


class Truncated(Exception):
    """The file was cut and has started again."""


class OpenFile(Content):
    """The content of one open file, by position; a file that `grows` is watched."""

    def __init__(self, place: Listing, name: str, compression: Compression, *, grows: bool) -> None:
        self._compression, self.grows = compression, grows
        self.descriptor = place.open(name)
        self.identity = Identity.of(self.descriptor)
        self._content: Content | None = None
        self._size, self._stamp, self._since = 0, (-1, -1), 0.0
        self._reached = 0
        self.ended = False
        self.damage: str | None = None

    def read(self, at: int, size: int) -> bytes:
        """Up to `size` bytes from `at`; raises `Truncated` if they were cut off."""
        self._check()
        if self._content is None and self.identity.length:
            self._content = content(self.descriptor, self._compression, grows=self.grows)
        if self._content is None:
            self.ended = True
            return b""
        data = self._content.read(at, size)
        self.ended, self.damage = self._content.ended, self._content.damage
        self._reached = at + len(data)
        return data

    def span(self, at: int, size: int, separator: bytes) -> int:
        """Up to the last separator, if that is cheap to tell."""
        return self._content.span(at, size, separator) if self._content else size

    def ends_at(self, at: int) -> bool:
        """Whether nothing stood behind a position when it was last read there."""
        return self.ended and at == self._reached

    def reaches(self, at: int) -> bool:
        """Whether it is long enough for a position, as far as can be told without unpacking."""
        status, start = os.fstat(self.descriptor), os.pread(self.descriptor, 4, 0)
        return status.st_size >= at or packing_of(start, self._compression) != "none"

    def status(self) -> os.stat_result:
        """What the system knows about it."""
        return os.fstat(self.descriptor)

    def quiet(self) -> bool:
        """Whether nothing came since the last read, nor for a while before."""
        return self._silent(GRACE)

    def left(self) -> bool:
        """Whether it was removed, and is read to its end: there is nothing to come back to."""
        return self.status().st_nlink == 0 and self._silent(LEFT)

    def _silent(self, seconds: float) -> bool:
        status = os.fstat(self.descriptor)
        if self._stamp != (status.st_size, status.st_mtime_ns):
            return False
        old = time.time() - status.st_mtime > seconds
        return old or time.monotonic() - self._since > seconds

    def close(self) -> None:
        """Give the descriptor back; may be called twice."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _check(self) -> None:
        status = os.fstat(self.descriptor)
        stamp = (status.st_size, status.st_mtime_ns)
        if stamp == self._stamp:
            return
        if stamp[0] < self._stamp[0] or not self.identity.holds(self.descriptor):
            raise Truncated
        self._stamp, self._since = stamp, time.monotonic()
        if self.identity.length < HEAD:
            self.identity = Identity.of(self.descriptor)


class Tail:
    """The files of one partition: the one of that name, and those it was before rotation."""

    def __init__(self, place: Listing, name: str, compression: Compression, *, grows: bool) -> None:
        self._place, self._name, self._compression, self._grows = place, name, compression, grows
        if grows:
            _allow_descriptors()

    def first(self) -> OpenFile | None:
        """The file to begin with: in a directory or a glob, the oldest rotated one."""
        rotated = [] if self._place.single or not self._grows else self._rotated()
        named = set(self._place.names()) if rotated else set()  # which looks at every file
        return self._open(next((old.name for old in rotated if old.name in named), self._name))

    def find(self, fits: Callable[[OpenFile], bool]) -> OpenFile | None:
        """The file that fits, under its own name or a rotated one."""
        for name in self._names():
            file = self._open(name)
            if file is not None and fits(file):
                return file
            if file is not None:
                file.close()
        return None

    def named(self) -> OpenFile | None:
        """The file that has the name now."""
        return self._open(self._name)

    def after(self, left: os.stat_result, past: Collection[int]) -> OpenFile | None:
        """The file that follows one that was renamed or removed; None: not there yet."""
        current = self.named()  # first, so that a rename meanwhile is seen below
        old = [one for one in self._rotated() if one.follows(left) and one.inode not in past]
        if not old or (current and old[0].inode == current.identity.inode):
            return current
        if current is not None:
            current.close()
        return self._open(old[0].name)

    def has(self, inode: int) -> bool:
        """Whether the name still stands for the file with this number."""
        try:
            return (self._place.root / self._name).stat().st_ino == inode
        except FileNotFoundError:
            return False

    def gone(self) -> bool:
        """Whether no file has the name, nor had it before rotation; one file is waited for."""
        there = self._place.single or (self._place.root / self._name).exists()
        return not (there or self._rotated())

    def _open(self, name: str) -> OpenFile | None:
        try:
            return OpenFile(self._place, name, self._compression, grows=self._grows)
        except FileNotFoundError:
            return None

    def _names(self) -> Iterator[str]:
        """The names the file may have; the folder is only looked through if it has another."""
        yield self._name
        yield from (old.name for old in self._rotated())

    def _rotated(self) -> list[_Old]:
        """The files that once had the name, oldest first."""
        name = Path(self._name)
        with suppress(FileNotFoundError):
            folder = self._place.root / name.parent
            longer = [str(name.with_name(one.name)) for one in folder.glob(f"{escape(name.name)}*")]
            old = [one for one in longer if rotation_of(one) == self._name]
            return sorted(_old(self._place.root, one) for one in old)
        return []


def _allow_descriptors() -> None:
    """Allow as many as the system lets us: a file that is followed stays open."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # some systems say more than they give
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class _Old(NamedTuple):
    changed: int
    """When it was last written, in nanoseconds."""
    inode: int
    name: str

    def follows(self, left: os.stat_result) -> bool:
        """Whether it was written after the file that is left, or its age is the same.

        A packed file keeps the age of the one it was made from.
        """
        packed = Path(self.name).suffix in PACKED
        return self.changed > left.st_mtime_ns or (self.changed == left.st_mtime_ns and not packed)


def _old(root: Path, name: str) -> _Old:
    status = (root / name).lstat()
    return _Old(status.st_mtime_ns, status.st_ino, name)
