"""What a run has done."""

from __future__ import annotations

import resource
import sys
from dataclasses import asdict, dataclass, replace

_GROWING = (
    "rows_in", "rows_out", "filtered", "late", "dead", "aggregated", "forgotten",
    "epochs", "seconds",
)  # fmt: skip
"""What two attempts have done together."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """Counts of a run; every row that came in is in one of them."""

    rows_in: int
    rows_out: int
    filtered: int
    late: int
    dead: int
    aggregated: int
    """Rows that went out inside windows."""
    held: int
    """Rows that the steps still hold, in open windows for example."""
    forgotten: int
    """Keys that steps have forgotten because there were more than they remember (`max_keys`)."""
    epochs: int
    seconds: float
    state_bytes: int
    """Bytes of state at the end of the last epoch."""
    memory_bytes: int
    """The most memory the process has had."""
    event_time: str | None = None
    """How far event time has come."""
    waiting_for: str | None = None
    """What a source is waiting for, if it is."""

    def after(self, past: RunReport | None) -> RunReport:
        """The same, with what was done before it."""
        both = {one: getattr(self, one) + getattr(past, one) for one in _GROWING if past}
        return replace(self, **both)

    def rate(self) -> float:
        """Rows in per second over the whole run."""
        return self.rows_in / self.seconds if self.seconds else 0.0

    def counts(self) -> dict[str, object]:
        """The report as plain data."""
        return {**asdict(self), "seconds": round(self.seconds, 3)}


def memory_bytes() -> int:
    """The most memory this process has had, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
