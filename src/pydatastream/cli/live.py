"""How a run goes, drawn on a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pydatastream.cli.watching import Notes, Promised
from pydatastream.engines.local import Run, RunReport


@contextmanager
def live(run: Run, promised: Promised, notes: Notes) -> Iterator[None]:
    """Draw the counts while the run goes on, and what it did at the end."""
    console = Console(stderr=True)
    for name, promise in promised.items():
        console.print(Text(f"{name}: {promise}", style="dim"))
    view = View(run)
    with Live(view, console=console, refresh_per_second=4, transient=True):
        yield
    console.print(view.table(final=True))
    for note in notes(run.report()):
        console.print(Text(note), soft_wrap=True)


class View:
    """The live view: counts, rate, event time, memory."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._last = (time.monotonic(), 0)
        self._rate = 0.0

    def __rich__(self) -> Table:
        return self.table()

    def table(self, *, final: bool = False) -> Table:
        """The counts as a table; at the end, the rate is that of the whole run."""
        report = self._run.report()
        grid = Table.grid(padding=(0, 2))
        rate = report.rate() if final else self._current(report)
        rows = {
            "rows in": f"{report.rows_in:,}",
            "rows out": f"{report.rows_out:,}",
            "filtered": f"{report.filtered:,}" if final else "",
            "late": f"{report.late:,}" if report.late else "",
            "dead letters": f"{report.dead:,}" if report.dead else "",
            "keys forgotten": f"{report.forgotten:,}" if report.forgotten else "",
            "rows/s": f"{rate:,.0f}",
            "event time": report.event_time or "",
            "waiting for": report.waiting_for or "",
            "state": f"{report.state_bytes / 1e6:,.1f} MB",
            "memory": f"{report.memory_bytes / 1e6:,.0f} MB",
            "epochs": f"{report.epochs:,}",
            "seconds": f"{report.seconds:.1f}",
        }
        for name, value in rows.items():
            if value:
                grid.add_row(Text(name, style="dim"), Text(value))
        return grid

    def _current(self, report: RunReport) -> float:
        now, (then, rows) = time.monotonic(), self._last
        if now - then >= 1:
            self._rate = (report.rows_in - rows) / (now - then)
            self._last = now, report.rows_in
        return self._rate or report.rate()
