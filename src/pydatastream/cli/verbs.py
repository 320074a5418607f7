"""Verbs by name: `pds --help` reads their first lines, and imports none of them."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import typer

import pydatastream
from pydatastream.core.errors import nearest

FOLDER = Path(__file__).parent / "commands"
ORDER = [
    "demo",
    "new",
    "check",
    "explain",
    "show",
    "run",
    "dashboard",
    "test",
    "dlq",
    "state",
    "list",
    "schema",
    "bench",
]
"""The verbs in the order of a pipeline's life; others follow by name."""
HELP = {"help_option_names": ["-h", "--help"]}


def verb_names() -> list[str]:
    """The names of all verbs."""
    names = {path.stem.rstrip("_") for path in FOLDER.glob("[a-z]*.py")}
    known = [name for name in ORDER if name in names]
    return known + sorted(names - set(known))


class Verbs(click.Group):
    """The verbs are the modules of the folder `commands`.

    A module has a function `command`, or an `app` with verbs of its own; its docstring is the
    help. A module whose name would hide a Python word carries a trailing underscore.
    """

    def __init__(self) -> None:
        super().__init__(
            "pds",
            help="Stream processing from one YAML file: declare it, check it, run it.",
            no_args_is_help=True,
            context_settings={**HELP, "max_content_width": 100},
            params=[_version_option()],
        )

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Refuse a verb that does not exist, naming the nearest one."""
        hint = nearest(args[0], self.list_commands(ctx))
        return ctx.fail(f"no verb is called {args[0]!r}: {hint}")

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All verbs."""
        return verb_names()

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        """The verb as far as its line in the help goes."""
        doc = ast.get_docstring(ast.parse(_path(name).read_text("utf-8"))) or ""
        return click.Command(name, help=doc, short_help=doc.partition("\n")[0])


def run_verb(name: str, arguments: Sequence[str]) -> None:
    """Run one verb; only its own module, and what it needs, is imported."""
    module = importlib.import_module(f"pydatastream.cli.commands.{_path(name).stem}")
    app: typer.Typer = getattr(module, "app", None) or group()
    if hasattr(module, "command"):
        app.command(help=module.__doc__, context_settings=HELP)(module.command)
    app(args=list(arguments), prog_name=f"pds {name}")


def group(help: str | None = None, **options: Any) -> typer.Typer:  # noqa: A002 - typer's word
    """A Typer app for one verb, or for several below one; its errors and help are plain text."""
    return typer.Typer(
        help=help,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=HELP,
        **options,
    )


def _path(name: str) -> Path:
    plain = FOLDER / f"{name}.py"
    return plain if plain.exists() else FOLDER / f"{name}_.py"


def _version_option() -> click.Option:
    def say(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
        if asked:
            click.echo(f"pds {pydatastream.__version__}")
            ctx.exit()

    return click.Option(
        ["--version"], is_flag=True, is_eager=True, expose_value=False, callback=say,
        help="Say which version this is.",
    )  # fmt: skip
