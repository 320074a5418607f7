"""How a plan is run on one machine."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydatastream.core.sink import Sink
from pydatastream.core.times import Micros

OnError = Literal["dead_letter", "fail", "skip"]


@dataclass(frozen=True)
class Settings:
    """What a run needs to know besides the plan."""

    checkpoint: Path | None = None
    """The directory that remembers how far the run has come; None: nothing is remembered."""
    interval: Micros = 1_000_000
    """The time between two epochs."""
    rows: int = 1 << 20
    """At most so many rows in a batch."""
    bytes: int = 16 << 20
    """At most so many bytes in a batch."""
    on_error: OnError = "dead_letter"
    dead_letters: Sink | None = None
    """Where dead letters go; None: they are only counted."""
    delivery: Literal["exactly_once", "at_least_once"] = "exactly_once"
    instance: str = field(default_factory=lambda: secrets.token_hex(8))
    """What tells this run from others of the same pipeline that share its sources."""
    stop: threading.Event = field(default_factory=threading.Event)
    """Set it to end the run: the epoch at work is finished, and nothing is lost."""
    command: tuple[str, ...] | None = None
    """The command line that starts this same run; with it, a row that kills the process can be
    found by child processes."""
