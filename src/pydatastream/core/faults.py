"""A hook for fault tests: fail at a named point, the n-th time it is passed.

    PDS_FAULT=file.staged:kill:3          SIGKILL on the 3rd pass
    PDS_FAULT=durable.synced:raise        OSError on the 1st
    PDS_FAULT=file.marked:sleep:0.5:2     half a second's wait on the 2nd

The variable is read once, at import; without it a point costs one comparison.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from pydatastream.core.errors import ConfigError

_SPEC = re.compile(r"(?P<point>[\w.]+):(?P<action>kill|raise|sleep:(?P<wait>[\d.]+))(:(?P<n>\d+))?")


@dataclass(frozen=True, slots=True)
class _Fault:
    point: str
    act: Callable[[], None]
    at: int
    passes: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def passed(self, point: str) -> None:
        if point == self.point and next(self.passes) == self.at:
            self.act()


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _raise() -> None:
    raise OSError(errno.EIO, "a fault was asked for by PDS_FAULT")


def _parsed(spec: str) -> _Fault:
    parts = _SPEC.fullmatch(spec)
    if parts is None:
        raise ConfigError(
            f"PDS_FAULT={spec!r} is no fault",
            hint="point:kill:3, point:raise:3 or point:sleep:0.5:3",
        )
    wait = float(parts["wait"] or 0)
    actions = {"kill": _kill, "raise": _raise}
    act = actions.get(parts["action"], lambda: time.sleep(wait))
    return _Fault(parts["point"], act, int(parts["n"] or 1))


_armed: _Fault | None = None


def arm(spec: str | None) -> None:
    """Do in this process what `PDS_FAULT=spec` would; None disarms."""
    global _armed
    _armed = _parsed(spec) if spec else None


def fault_point(name: str) -> None:
    """Fail here if the environment asks for it."""
    if _armed is not None:
        _armed.passed(name)


arm(os.environ.get("PDS_FAULT"))
