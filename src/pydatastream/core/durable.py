"""Files that survive a crash and a power loss, one step at a time.

Written is not durable: a file must be synced before the name that promises it, and a name is
durable only when its directory is synced. A failed sync is never tried again, because the second
try may succeed without the data. Every failure is a `StopError` that names the place.

References: Rebello et al. (2020), Can Applications Recover from fsync Failures?, USENIX ATC.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pydatastream.core.errors import StopError
from pydatastream.core.faults import fault_point

_REMEDIES = {
    errno.ENOSPC: "free space on the device, then start again",
    errno.EDQUOT: "raise the quota or free space, then start again",
    errno.EFBIG: "raise the limit on the size of files, or roll into smaller ones",
    errno.EACCES: "give this user the right to write there",
    errno.EPERM: "give this user the right to write there",
    errno.EROFS: "the file system is read-only: write elsewhere",
    errno.EIO: "look at the device's health (dmesg), then start again",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
}


@contextmanager
def stopping(place: Path) -> Iterator[None]:
    """Turn an `OSError` into a `StopError` that says where, and what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        hint = _REMEDIES.get(error.errno or 0)
        raise StopError(f"cannot write: {reason}", where=str(place), hint=hint) from error


def create(path: Path) -> BinaryIO:
    """A new empty file, in place of one a crash may have left; no link is followed."""
    with stopping(path):
        path.unlink(missing_ok=True)
        file = path.open("xb")
        fault_point("durable.created")
        return file


def settle(file: BinaryIO, path: Path) -> None:
    """Make the content durable and close the file; its name is not durable yet."""
    with stopping(path):
        try:
            file.flush()
            fault_point("durable.flushed")
            os.fsync(file.fileno())
            fault_point("durable.synced")
        finally:
            file.close()


def move(source: Path, target: Path) -> None:
    """Rename within one file system, replacing a file that has the name."""
    with stopping(target):
        source.replace(target)
        fault_point("durable.moved")


def settle_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    with stopping(directory):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
            fault_point("durable.directory_synced")
        finally:
            os.close(descriptor)


def make_directory(directory: Path) -> None:
    """Make a directory and the missing ones above it, durably."""
    if not directory.is_dir():
        make_directory(directory.parent)
        with stopping(directory):
            directory.mkdir(exist_ok=True)
            settle_directory(directory.parent)


def replace(path: Path, content: bytes) -> None:
    """Give a file a new content at once and durably: a reader sees the old or the new."""
    beside = path.with_name(f"{path.name}.tmp")
    file = create(beside)
    with stopping(beside):
        file.write(content)
    settle(file, beside)
    move(beside, path)
    settle_directory(path.parent)
