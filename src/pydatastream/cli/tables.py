"""Tables and lines for people, on standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPED = 200
"""The width of a table that no terminal limits."""


def console() -> Console:
    """Standard output; where it is no terminal, lines are long and carry no colours."""
    return Console() if sys.stdout.isatty() else Console(width=PIPED, color_system=None)


def printed(
    head: Sequence[str],
    rows: Iterable[Sequence[object]],
    title: str | None = None,
    right: Sequence[str] = (),
) -> None:
    """Print rows as a table; the columns in `right` are aligned to the right."""
    table = Table(box=None, pad_edge=False, title=title, title_justify="left", title_style="bold")
    for name in head:
        wide = name == head[-1]
        table.add_column(
            Text(name, style="dim"),
            justify="right" if name in right else "left",
            overflow="fold" if wide else "ellipsis",
        )
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    console().print(table)
