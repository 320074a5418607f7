"""Write a first pipeline file that runs as it is.

With --from or --to it has the example of that source or sink, and its other options in comments.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pydatastream.cli.starter import starter
from pydatastream.core.errors import ConfigError


def command(
    name: Annotated[str, typer.Argument(help="The pipeline's name.")] = "pipeline",
    source: Annotated[
        str | None, typer.Option("--from", help="A source: pds list sources.")
    ] = None,
    sink: Annotated[str | None, typer.Option("--to", help="A sink: pds list sinks.")] = None,
) -> None:
    """Write NAME.yaml, unless it is there."""
    word = name.removesuffix(".yaml").removesuffix(".yml")
    path = Path(f"{word}.yaml")
    text = starter(path.stem, source, sink)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        hint = f"another name: pds new {path.stem}-2"
        raise ConfigError("the file is there already", where=str(path), hint=hint) from None
    print(f"{path} is written; next: pds check {path}, pds run {path}")
