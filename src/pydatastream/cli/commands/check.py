"""Check a pipeline: fields, types and topology, then connections.

It shows the columns of every source and what each output promises when things fail. With
--offline nothing is run and nothing is read but the file itself and `.env`. With --against it
says whether the pipeline can go on from a checkpoint. Exit code 0: fine; 2: refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pydatastream import planning
from pydatastream.cli.arguments import File, NoPython
from pydatastream.cli.connections import reached
from pydatastream.cli.endings import REFUSED
from pydatastream.cli.resuming import resumed
from pydatastream.core.plan import Output, Plan, SourceNode
from pydatastream.core.types import schema_text
from pydatastream.pipeline import Pipeline
from pydatastream.testing import cases


def command(
    file: File,
    offline: Annotated[
        bool, typer.Option("--offline", help="Run nothing, read and reach nothing else.")
    ] = False,
    no_python: NoPython = False,
    against: Annotated[
        Path | None, typer.Option(help="A checkpoint that the pipeline is to go on from.")
    ] = None,
) -> None:
    """Check a pipeline and say what it reads, writes and promises."""
    python = not (no_python or offline)
    pipeline = Pipeline.load(file, python=python)
    cases(pipeline)
    if offline and pipeline.declaration.functions:
        planning.wire(pipeline.declaration)
        print(f"{file}: fields and topology are fine; types depend on Python that was not run")
        return
    plan = pipeline.plan(offline=offline, python=python)
    _describe(pipeline, plan)
    if against is not None:
        print(resumed(plan, against))
    if not offline:
        _reach(plan)
    print(f"{file}: fine")


def _describe(pipeline: Pipeline, plan: Plan) -> None:
    for source in plan.sources:
        print(f"source {source.name}: {source.source.type_name()}", *_columns(source), sep="\n  ")
    said = pipeline.settings()
    promised = planning.guarantee(plan, "checkpoint" in said, said["delivery"])
    for output in plan.outputs:
        print(f"output {output.name}: {output.sink.type_name()}", *_given(output), sep="\n  ")
        print(f"  {promised[output.name]}")


def _columns(node: SourceNode) -> list[str]:
    declared = node.source.declared()
    whole = node.source.infer() if declared is None else declared
    lines = [f"columns {'inferred' if declared is None else 'known'}: {schema_text(whole)}"]
    if len(node.reads) < len(whole):
        lines.append(f"columns used: {', '.join(node.reads)}")
    if node.flow.time:
        lines.append(f"event time: {node.flow.time.column}")
    return lines


def _given(node: Output) -> list[str]:
    return [f"columns: {schema_text(node.flow.schema)}"]


def _reach(plan: Plan) -> None:
    """Say what could be reached; exit if something could not."""
    errors = []
    for one in reached(plan):
        print(f"{one.node}: {one.found}")
        errors += [one.error] if one.error else []
    for error in errors:
        typer.echo(f"error: {error}", err=True)
    if errors:
        raise typer.Exit(REFUSED)
