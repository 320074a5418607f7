"""Print the JSON Schema of a pipeline file, or of one component.

In VS Code: `pds schema > pipeline.schema.json`, and as the first line of a pipeline file
`# yaml-language-server: $schema=pipeline.schema.json`.
"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from pydatastream.catalog import catalog
from pydatastream.cli.components import kind_of
from pydatastream.core.errors import ConfigError
from pydatastream.schema import pipeline_schema


def command(
    kind: Annotated[str | None, typer.Argument(help="source, sink, format or operator.")] = None,
    name: Annotated[str | None, typer.Argument(help="Its name: file, tumbling.")] = None,
) -> None:
    """Print JSON Schema."""
    print(json.dumps(_schema(kind, name), indent=1))


def _schema(kind: str | None, name: str | None) -> dict[str, object]:
    if kind is None:
        return pipeline_schema()
    found = kind_of(kind)
    if name is None:
        names = ", ".join(catalog().names(found))
        raise ConfigError(f"the schema of which {found}?", hint=f"one of: {names}")
    return catalog().find(found, name).model_json_schema()
