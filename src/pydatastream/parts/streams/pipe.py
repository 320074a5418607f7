"""A stream of bytes that can be read once, by position, as they arrive."""

from __future__ import annotations

import fcntl
import os
import select
from contextlib import suppress

from pydatastream.parts.files.compressed import Content

PATIENCE = 0.1
"""The longest wait for bytes, in seconds."""

_ROOM = 1 << 20
_F_SETPIPE_SZ = getattr(fcntl, "F_SETPIPE_SZ", 1031)


class Pipe(Content):
    """What has come through a descriptor; what lies before the last position is forgotten."""

    damage: str | None = None

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._held, self.at = b"", 0
        self._closed = self.ended = False
        with suppress(OSError):  # not a pipe: a terminal or a file
            fcntl.fcntl(descriptor, _F_SETPIPE_SZ, _ROOM)

    def read(self, at: int, size: int) -> bytes:
        """What has come since `at`, up to `size` bytes; waits a moment if nothing new has."""
        self._held = self._held[at - self.at :]
        self.at = at
        if len(self._held) < size:
            self._held += self._arrived(size - len(self._held))
        self.ended = self._closed and len(self._held) <= size
        return self._held[:size]

    def _arrived(self, size: int) -> bytes:
        parts: list[bytes] = []
        patience = PATIENCE
        while size > 0 and not self._closed and self._ready(patience):
            part = os.read(self._descriptor, size)
            self._closed = not part
            parts.append(part)
            size -= len(part)
            patience = 0.0
        return b"".join(parts)

    def _ready(self, patience: float) -> bool:
        return bool(select.select([self._descriptor], [], [], patience)[0])
