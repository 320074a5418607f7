"""Waiting for what may heal: exponential, with jitter and a cap."""

from __future__ import annotations

import random
import threading
import time

from pydatastream.core.errors import RetryLater

FIRST, CAP = 0.1, 10.0
"""Seconds: the first wait, and the longest."""


class Backoff:
    """How long to wait before the next try, and what is being waited for.

    `patience` is the most that is waited for one thing, in seconds; None: for ever.
    """

    def __init__(self, stop: threading.Event | None = None, patience: float | None = None) -> None:
        self._stop, self._patience = stop or threading.Event(), patience
        self._waited, self._longest = 0.0, FIRST
        self._what: str | None = None
        self._since = 0.0

    @property
    def waiting_for(self) -> str | None:
        """What is being waited for, and how long already: "kafka at host:9092 ..., 12 s"."""
        if self._what is None:
            return None
        return f"{self._what}, {time.monotonic() - self._since:.0f} s"

    def note(self, error: RetryLater) -> None:
        """Something is waited for, from now on if it was not before."""
        self._since = time.monotonic() if self._what is None else self._since
        self._what = error.what

    def wait(self, error: RetryLater) -> bool:
        """Wait, longer at each call; false, and at once, to stop or when patience is over."""
        self.note(error)
        wait = max(error.after, self._longest * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
        self._longest = min(CAP, 2 * self._longest)
        self._waited += wait
        if self._patience is not None and self._waited > self._patience:
            return False
        return not self._stop.wait(wait)

    def reset(self) -> None:
        """It has healed."""
        self._waited, self._longest = 0.0, FIRST
        self._what = None
