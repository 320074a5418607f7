"""See a real sensor stream become windows, and what else there is to see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from pydatastream.cli.tables import console, printed
from pydatastream.demo import MAIN, Demo, demo, demo_names


def command(
    name: Annotated[str, typer.Argument(help="Which one.")] = MAIN,
    list_: Annotated[bool, typer.Option("--list", help="Say which there are.")] = False,
) -> None:
    """Run a demonstration and show what came out."""
    if list_:
        _listed(demo_names())
        return
    out, found = console(), demo(name)
    out.print(Text.assemble((found.name, "bold"), f": {found.about}"), soft_wrap=True)
    found.run(out)
    _more(out, found)


def _more(out: Console, shown: Demo) -> None:
    if shown.full:
        out.print(Text(f"\nthe full form: {shown.full}"), soft_wrap=True)
    if shown.name == MAIN:
        _listed(demo_names()[1:], "\nmore to see, without any server")


def _listed(names: Sequence[str], title: str | None = None) -> None:
    found = [demo(name) for name in names]
    rows = [(f"pds demo {one.name}", one.about, one.full) for one in found]
    if rows:
        printed(("command", "what it shows", "the full form"), rows, title)
