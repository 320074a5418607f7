"""Show the rows that could not be processed, or replay them.

`pds dlq show FILE` prints them with their error; mend the pipeline, then `pds dlq replay FILE`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pydatastream.cli.arguments import File, Json, NoPython
from pydatastream.cli.letters import Letters
from pydatastream.cli.replaying import Result, position_text, replay
from pydatastream.cli.tables import printed
from pydatastream.cli.verbs import group
from pydatastream.pipeline import Pipeline

SHOWN = 160
"""Characters of a payload in a table."""

app = group(__doc__, no_args_is_help=True)

Step = Annotated[str | None, typer.Option(help="Only letters of this step or source.")]


@app.command()
def show(
    place: Annotated[Path, typer.Argument(help="A pipeline file, or a folder of letters.")],
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    step: Step = None,
    json_: Json = False,
) -> None:
    """Show dead letters: where they failed, why, and what they hold."""
    letters = Letters.of(place)
    found = letters.frame()
    found = found if step is None else found.filter(step=step)
    shown = found.head(limit)
    if json_:
        print(shown.write_ndjson(), end="")
        return
    if not found.height:
        print(f"no dead letters in {letters.path}/")
        return
    rows = (
        (one["step"], one["error"], position_text(one["position"]), one["payload"][:SHOWN])
        for one in shown.to_dicts()
    )
    printed(("step", "error", "position", "payload"), rows)
    more = f", {found.height - shown.height} more: --limit" if found.height > limit else ""
    print(f"{found.height} in {letters.path}/{more}")


@app.command("replay")
def replay_(
    file: File,
    path: Annotated[
        Path | None, typer.Argument(help="A folder of letters, or one file of them.")
    ] = None,
    step: Step = None,
    no_python: NoPython = False,
) -> None:
    """Send dead letters through the pipeline as it is now.

    Letters of a source are decoded again; a row that a step refused goes into that step again.
    Windows of a replay hold the replayed rows only. Files go to `<output>-replay/<time>/`, rows
    for other outputs to those. What fails again stays a dead letter; nothing is replayed twice.
    """
    pipeline = Pipeline.load(file, python=not no_python)
    plan = pipeline.plan(python=not no_python)
    letters = Letters.of_pipeline(pipeline) if path is None else Letters.of(path)
    results = list(replay(plan, letters, step))
    for result in results:
        _say(result)
    if not results:
        print(f"nothing to replay in {letters.path}/")


def _say(result: Result) -> None:
    where = f" in {', '.join(result.outputs)}" if result.outputs else ""
    rows = "1 row" if result.rows_out == 1 else f"{result.rows_out:,} rows"
    print(f"{result.letters:,} replayed: {rows} out{where}")
    if result.again:
        print(f"{result.again} failed again and stay dead letters")
    if result.kept:
        print(f"{result.kept} left as they are: not chosen, or of a step that is not there")
