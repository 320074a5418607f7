"""Measure this machine: rows per second, and how long a row takes.

The data are generated in a temporary folder. Other programs at work slow it down.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from pydatastream.cli.arguments import Json
from pydatastream.cli.detecting import detect
from pydatastream.cli.measuring import Measured, latency, throughput
from pydatastream.cli.tables import printed
from pydatastream.cli.verbs import group

app = group(__doc__, invoke_without_command=True)

Rows = Annotated[int, typer.Option(min=1_000, help="Rows to read.")]
Rate = Annotated[int, typer.Option(min=1, help="Rows per second to generate.")]
Seconds = Annotated[float, typer.Option(min=0.1, help="How long to generate them.")]
Suite = Annotated[str, typer.Option(help="The labelled data set.")]
Data = Annotated[Path | None, typer.Option(help="Where the data are; ../shared/data if not given.")]
Save = Annotated[Path | None, typer.Option(help="Write what was scored here, as CSV.")]

ROWS, RATE, SECONDS = 1_000_000, 10_000, 3.0


@app.callback()
def both(context: typer.Context, json_: Json = False) -> None:
    """Run every measurement, unless one is named."""
    if context.invoked_subcommand is None:
        with tempfile.TemporaryDirectory() as folder:
            _show([throughput(Path(folder), ROWS), latency(RATE, SECONDS)], json_)


@app.command("throughput")
def _throughput(rows: Rows = ROWS, json_: Json = False) -> None:
    """JSON file, filter, windows of a minute per device, JSON file: rows per second."""
    with tempfile.TemporaryDirectory() as folder:
        _show([throughput(Path(folder), rows)], json_)


@app.command("latency")
def _latency(rate: Rate = RATE, seconds: Seconds = SECONDS, json_: Json = False) -> None:
    """Generated rows through a filter: the time from when a row is due until the sink has it."""
    _show([latency(rate, seconds)], json_)


@app.command("detect")
def _detect(suite: Suite, data: Data = None, json_: Json = False, save: Save = None) -> None:
    """Detectors on a labelled data set: the metric, rows per second, and what others reach."""
    detect(suite, data, save, json_)


def _show(results: Sequence[Measured], json_: bool) -> None:
    if json_:
        print(json.dumps([one.plain() for one in results]))
        return
    head = ("what", "rows", "seconds", "rows/s", "p50 ms", "p99 ms", "most ms")
    printed(head, (one.cells() for one in results), right=head[1:])
