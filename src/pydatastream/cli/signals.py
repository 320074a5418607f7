"""Ctrl-C and SIGTERM ask a run to end."""

from __future__ import annotations

import signal
import threading


def stop_on_signals() -> threading.Event:
    """Set at the first signal; a second one ends the process at once."""
    stop = threading.Event()

    def ask(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, ask)
    return stop
