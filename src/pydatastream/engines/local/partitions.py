"""One partition of a source as it is being read: opened again when its source was away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from pydatastream.core.batch import Batch, Offset
from pydatastream.core.errors import RetryLater
from pydatastream.core.source import Read, Reader
from pydatastream.engines.local.retry import Backoff

HEALED = 2.0
"""Seconds without a failure after which a reader is well again, though nothing comes."""


class Partition:
    """One partition being read: its reader, its position, and since when it is silent."""

    def __init__(
        self, name: str, job: Read, open_: Callable[[Read], Reader], stop: threading.Event
    ) -> None:
        self.name, self._job, self._open = name, job, open_
        self.offset = job.resume
        self.silent_since: float | None = None
        self.acked: Offset | None = None
        self.backoff = Backoff(stop)
        self._reader: Reader | None = None
        self._batches: Iterator[Batch | None] = iter(())

    def next(self) -> Batch | None:
        """The next batch, None if nothing has come; StopIteration at the end."""
        try:
            return self._heard(self._next())
        except RetryLater as error:
            self.close()
            self.silent_since = None  # whoever cannot be heard is not known to be silent
            self.backoff.wait(error)
            return None

    def _next(self) -> Batch | None:
        if self._reader is None:
            job = Read(
                self._job.schema, self.offset, self._job.until, self._job.rows, self._job.bytes
            )
            self._reader = self._open(job)
            self._batches = iter(self._reader)
        self.commit()
        return next(self._batches)

    def _heard(self, batch: Batch | None) -> Batch | None:
        now = time.monotonic()
        self.silent_since = (self.silent_since or now) if batch is None else None
        if self.silent_since is None or now - self.silent_since > HEALED:
            self.backoff.reset()
        return batch

    def commit(self) -> None:
        """Tell the reader how far every row is durable, if it was not told yet."""
        offset, self.acked = self.acked, None
        if offset is not None and self._reader is not None:
            try:
                self._reader.commit(offset)
            except RetryLater:
                self.acked = self.acked or offset
                raise

    def close(self) -> None:
        """Stop reading; the position stays. What the source cannot be told now it hears later."""
        if self._reader is not None:
            with suppress(RetryLater):
                self.commit()
            self._reader.close()
            self._reader = None
