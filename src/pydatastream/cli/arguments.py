"""What several verbs ask for, said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pydatastream.core.errors import ConfigError

File = Annotated[Path, typer.Argument(help="The pipeline: a YAML or a Python file.")]
NoPython = Annotated[bool, typer.Option("--no-python", help="Refuse Python functions.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Engine = Annotated[str, typer.Option(help="Where to run it.")]


def refuse_engine(name: str) -> None:
    """Raise `ConfigError` for an engine that is not there."""
    if name != "local":
        raise ConfigError(f"there is no engine {name!r}", hint="--engine local")
