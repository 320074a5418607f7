"""Print what a pipeline does, step by step, with the columns that leave each step.

It ends with the options that did not come from the file itself, and where they came from.
"""

from __future__ import annotations

from typing import Annotated

import typer

from pydatastream.cli.arguments import Engine, File, NoPython, refuse_engine
from pydatastream.pipeline import Pipeline


def command(
    file: File,
    engine: Engine = "local",
    origins: Annotated[
        bool, typer.Option("--origins", help="Say of every option where it came from.")
    ] = False,
    no_python: NoPython = False,
) -> None:
    """Print the plan as text."""
    refuse_engine(engine)
    pipeline = Pipeline.load(file, python=not no_python)
    print(pipeline.plan(python=not no_python).explain(origins=origins))
