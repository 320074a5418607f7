"""List what there is: sources, sinks, formats and steps.

`pds schema KIND NAME` says which options one of them has.
"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from pydatastream.cli.arguments import Json
from pydatastream.cli.components import KINDS, kind_of, lines
from pydatastream.cli.tables import printed

TITLES = {
    "source": "sources: where rows come from",
    "sink": "sinks: where rows go, and how often a row can appear there when things fail",
    "format": "formats: how rows are written as bytes",
    "operator": "steps: what happens to rows on their way",
}


def command(
    kind: Annotated[
        str | None, typer.Argument(help="Only sources, sinks, formats or steps.")
    ] = None,
    json_: Json = False,
) -> None:
    """Print a table per kind, or JSON."""
    kinds = KINDS if kind is None else [kind_of(kind)]
    if json_:
        found = [line.plain() for one in kinds for line in lines(one)]
        print(json.dumps(found, indent=1))
        return
    for one in kinds:
        delivers = one in ("source", "sink")
        head = ["name", *(["delivery"] if delivers else []), "what it does"]
        cells = [
            (line.name, *([line.delivery] if delivers else []), line.summary) for line in lines(one)
        ]
        printed(head, cells, f"\n{TITLES[one]}" if one != kinds[0] else TITLES[one])
