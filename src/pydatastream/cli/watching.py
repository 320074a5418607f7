"""How a run goes: a live view on a terminal, JSON lines in a log, Prometheus metrics."""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

from pydatastream.core.repeating import repeating
from pydatastream.core.times import utc_text
from pydatastream.engines.local import Run, RunReport
from pydatastream.planning import Guarantee

LOG_EVERY = 10.0
"""Seconds between two log lines."""

Promised = Mapping[str, Guarantee]
Notes = Callable[[RunReport], Sequence[str]]
"""What the user should know at the end."""


@contextmanager
def watched(
    run: Run, promised: Promised, notes: Notes, *, quiet: bool, metrics: str | None
) -> Iterator[None]:
    """Show how the run goes while the body runs it, and at the end what it did."""
    with ExitStack() as stack:
        if metrics:
            counts = run.report
            served = importlib.import_module("pydatastream.server.metrics").served
            stack.enter_context(served(metrics, run.plan.name, lambda: counts().counts()))
        if not quiet:
            stack.enter_context(_view()(run, promised, notes))
        yield


def _view() -> Callable[[Run, Promised, Notes], AbstractContextManager[None]]:
    """The view that fits; what draws on terminals is loaded only where there is one."""
    if not sys.stderr.isatty():
        return logged
    live: Callable[[Run, Promised, Notes], AbstractContextManager[None]]
    live = importlib.import_module("pydatastream.cli.live").live
    return live


@contextmanager
def logged(run: Run, promised: Promised, notes: Notes) -> Iterator[None]:
    """Log how the run goes, as JSON lines on standard error."""
    said = {name: str(promise) for name, promise in promised.items()}
    _log("start", pipeline=run.plan.name, delivery=said)
    with repeating(lambda: _log("running", **_counts(run.report())), LOG_EVERY):
        yield
    report = run.report()
    _log("end", **_counts(report))
    for note in notes(report):
        _log("note", text=note)


def _log(event: str, **facts: object) -> None:
    line = {"at": utc_text(time.time_ns() // 1_000), "event": event, **facts}
    print(json.dumps(line, default=str), file=sys.stderr, flush=True)


def _counts(report: RunReport) -> dict[str, object]:
    return report.counts() | {"rows_per_second": round(report.rate())}
