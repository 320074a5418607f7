"""Run a pipeline to its end, or until it is stopped.

Ctrl-C and SIGTERM finish the epoch at work: nothing is lost, and a run with a checkpoint goes on
from there. On a terminal the run shows how it goes; elsewhere it logs JSON lines to stderr.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from pydatastream import planning
from pydatastream.cli.arguments import Engine, File, NoPython, refuse_engine
from pydatastream.cli.leftovers import leftovers
from pydatastream.cli.signals import stop_on_signals
from pydatastream.cli.watching import watched
from pydatastream.core.times import micros
from pydatastream.engines import local
from pydatastream.pipeline import Pipeline


def command(
    file: File,
    json_: Annotated[
        bool, typer.Option("--json", help="Print the counts as one last JSON line.")
    ] = False,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Remember in this directory how far the run has come.")
    ] = None,
    interval: Annotated[
        str | None, typer.Option(help="The time between two epochs, such as 500ms.")
    ] = None,
    batch_rows: Annotated[
        int | None, typer.Option(min=1, help="At most so many rows in a batch.")
    ] = None,
    engine: Engine = "local",
    metrics: Annotated[
        str | None, typer.Option(help="Serve Prometheus metrics on this address: :9090.")
    ] = None,
    no_python: NoPython = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show nothing but errors.")] = False,
) -> None:
    """Run a pipeline to its end, or until it is stopped."""
    refuse_engine(engine)
    pipeline = Pipeline.load(file, python=not no_python)
    given = {"checkpoint": checkpoint, "rows": batch_rows}
    given["interval"] = micros(interval) if interval else None
    settings = _settings(pipeline, {key: one for key, one in given.items() if one})
    plan = planning.plan_in_time(pipeline.declaration, settings.stop, python=not no_python)
    if plan is None:
        return
    run = local.Run(plan, settings)
    promised = planning.guarantee(plan, settings.checkpoint is not None, settings.delivery)
    told = partial(leftovers, plan=plan, settings=settings, file=str(file))
    with watched(run, promised, told, quiet=quiet or json_, metrics=metrics):
        report = run.run()
    if json_:
        print(json.dumps(report.counts()))


def _settings(pipeline: Pipeline, given: dict[str, Any]) -> local.Settings:
    again = (sys.executable, "-m", "pydatastream", *sys.argv[1:])
    return local.Settings(**pipeline.settings(**given), stop=stop_on_signals(), command=again)
