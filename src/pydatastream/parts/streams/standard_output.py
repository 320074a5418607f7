"""Standard output, shared by the sinks that print."""

from __future__ import annotations

import os
import sys

from pydatastream.core.errors import SinkClosed


def put(data: bytes) -> None:
    """Write to standard output at once; `SinkClosed` when its reader has gone."""
    try:
        _write(data)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence()
        raise SinkClosed("nobody reads standard output any more") from None


def _write(data: bytes) -> None:
    binary = getattr(sys.stdout, "buffer", None)
    if binary is None:  # a notebook's, or one that a program has put there
        sys.stdout.write(data.decode("utf-8", "replace"))
    else:
        sys.stdout.flush()
        rest = memoryview(data)
        while rest:  # with PYTHONUNBUFFERED it is the bare file, which may take a part only
            rest = rest[binary.write(rest) :]


def _silence() -> None:
    # Python flushes once more at exit, and would complain about the same pipe again.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
