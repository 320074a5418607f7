"""A plan that waits for what its sources need to be looked at."""

from __future__ import annotations

import logging
import threading

from pydatastream.config.declaration import Declaration
from pydatastream.core.errors import RetryLater
from pydatastream.core.plan import Plan
from pydatastream.planning.checking import plan

PAUSE = 1.0
"""Seconds between two tries."""

_log = logging.getLogger("pydatastream")


def plan_in_time(
    declaration: Declaration, stop: threading.Event, *, python: bool = True
) -> Plan | None:
    """The checked plan, as soon as its sources can be looked at; None: `stop` was set before.

    What is waited for is logged once.
    """
    told = ""
    while not stop.is_set():
        try:
            return plan(declaration, python=python)
        except RetryLater as error:
            if error.what != told:
                _log.warning("waiting: %s", error)
            told = error.what
            stop.wait(PAUSE)
    return None
