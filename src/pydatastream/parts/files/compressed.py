"""A file's bytes by position, compressed or not, in bounded memory."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, Literal, Protocol

from pydatastream.core.errors import ConfigError

Compression = Literal["auto", "none", "gzip", "zstd"]

MAX_RATIO = 400
"""How many times larger than its file content may be: logs reach 100, a bomb of zeros 1,030."""

MAX_CONTENT = 1 << 40
"""How many bytes one compressed file may hold."""

RATIO_FROM = 16 << 20
"""Less content than this is no danger, whatever its ratio."""

_TAIL = 64 << 10
"""So many bytes are looked at for the last separator."""

_MAGIC: dict[bytes, Compression] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


class Content(Protocol):
    """Bytes by position.

    `read` gives up to `size` bytes from position `at`, which never goes back. `ended` says
    whether, for now, nothing follows what the last call gave; `damage` why what follows cannot
    be read.
    """

    ended: bool
    damage: str | None

    def read(self, at: int, size: int) -> bytes: ...

    def span(self, at: int, size: int, separator: bytes) -> int:  # noqa: ARG002 - if it is cheap
        """At most `size`: where the last separator ends, counted from `at`, if that is known."""
        return size


class Plain(Content):
    """The bytes of a file as they are."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.ended = False
        self.damage: str | None = None

    def read(self, at: int, size: int) -> bytes:
        """Up to `size` bytes from `at`, in one call to the system."""
        data = os.pread(self._descriptor, size, at)
        self.ended = os.fstat(self._descriptor).st_size <= at + len(data)
        return data

    def span(self, at: int, size: int, separator: bytes) -> int:
        """Told by the end of the span, so that what is read need not be copied to be cut."""
        end = at + size
        if os.fstat(self._descriptor).st_size <= end:
            return size
        tail = os.pread(self._descriptor, min(size, _TAIL), max(end - _TAIL, at))
        found = tail.rfind(separator)
        return size if found < 0 else size - len(tail) + found + len(separator)


class Stream(Protocol):
    """What unpacks one compressed stream: zlib's and zstandard's objects are such."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Packing:
    """A way of compression."""

    start: Callable[[], Stream]
    step: int
    """So many compressed bytes unpack to at most about 32 MiB."""
    error: type[Exception]


class Unpacked(Content):
    """What a compressed file holds, of one stream or several one after the other.

    A damaged file, and one that swells beyond MAX_RATIO or MAX_CONTENT, can be read up to the
    damage. A file that `grows` may end within a stream for now.
    """

    def __init__(self, descriptor: int, packing: Packing, *, grows: bool) -> None:
        self._descriptor, self._packing, self._grows = descriptor, packing, grows
        self._stream: Stream | None = None
        self._held, self._start = b"", 0
        self._packed = self._total = 0
        self._broken: str | None = None
        self.ended = False
        self.damage: str | None = None

    def read(self, at: int, size: int) -> bytes:
        """Up to `size` bytes from `at`; what lies before is forgotten."""
        self._skip(at)
        self._fill(size + 1)
        short = len(self._held) <= size
        self.damage = self._broken if short else None
        self.ended = short and not self._broken
        return self._held[:size]

    def _skip(self, at: int) -> None:
        while (end := self._start + len(self._held)) < at and (more := self._more()):
            self._held, self._start = more, end
        self._held = self._held[at - self._start :]
        self._start = at

    def _fill(self, size: int) -> None:
        parts, have = [self._held], len(self._held)
        while have < size and (more := self._more()):
            parts.append(more)
            have += len(more)
        self._held = b"".join(parts) if len(parts) > 1 else self._held

    def _more(self) -> bytes:
        """The next bytes of content; none at the end, or at the damage."""
        data = b""
        while not data and not self._broken:
            packed = os.pread(self._descriptor, self._packing.step, self._packed)
            if not packed:
                self._check_end()
                return b""
            data = self._unpack(packed)
        return data

    def _unpack(self, packed: bytes) -> bytes:
        if self._stream is None and not packed.strip(b"\0"):
            self._packed += len(packed)  # padding after a stream
            return b""
        stream = self._stream or self._packing.start()
        try:
            data = stream.decompress(packed)
        except self._packing.error as error:
            self._broken = f"damaged near byte {self._packed}: {error}"
            return b""
        self._packed += len(packed) - len(stream.unused_data)
        self._stream = None if stream.eof else stream
        return self._checked(data)

    def _checked(self, data: bytes) -> bytes:
        self._total += len(data)
        swells = self._total > RATIO_FROM and self._total > self._packed * MAX_RATIO
        if swells or self._total > MAX_CONTENT:
            self._broken = f"swells more than {MAX_RATIO} times: {self._packed} bytes unpack to"
            self._broken += f" {self._total} and more"
            return b""
        return data

    def _check_end(self) -> None:
        if self._stream is not None and not self._grows:
            self._broken = f"ends at byte {self._packed}, within a compressed stream"


class Zstd:
    """Zstandard, which is in Python itself from 3.14 on."""

    @staticmethod
    def open() -> Packing:
        """The client library, or `ConfigError` that names what to install."""
        for name in ("compression.zstd", "zstandard"):
            with suppress(ImportError):
                module = import_module(name)
                return Packing(partial(_zstd, module.ZstdDecompressor), 1 << 10, module.ZstdError)
        raise ConfigError(
            "zstd needs a library that is not installed",
            hint="pip install 'pydatastreamprocessor[zstd]'",
        )


def _zstd(decompressor: Callable[[], Any]) -> Stream:
    one = decompressor()
    stream: Stream = one.decompressobj() if hasattr(one, "decompressobj") else one
    return stream


_GZIP = Packing(partial(zlib.decompressobj, 31), 1 << 14, zlib.error)


def content(descriptor: int, compression: Compression, *, grows: bool) -> Content:
    """The content of an open file."""
    kind = packing_of(os.pread(descriptor, 4, 0), compression)
    if kind == "none":
        return Plain(descriptor)
    return Unpacked(descriptor, _GZIP if kind == "gzip" else Zstd.open(), grows=grows)


def packing_of(start: bytes, wanted: Compression) -> Compression:
    r"""How a file that starts with these bytes is compressed, if the user has not said.

    >>> packing_of(b"\x1f\x8b\x08", "auto"), packing_of(b"{}", "auto"), packing_of(b"{}", "gzip")
    ('gzip', 'none', 'gzip')
    """
    found = (name for magic, name in _MAGIC.items() if start.startswith(magic))
    return next(found, "none") if wanted == "auto" else wanted
