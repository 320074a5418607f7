"""Show a live page of what a pipeline puts out, in the browser.

It looks at the newest rows of the outputs (files, tables, Redis streams) while `pds run` writes
them, or afterwards. What is shown is said under `dashboard:` in the pipeline file; without it
there is a chart per number and a table for each output. The page is served on this machine only.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

import pydatastream.dashboard
from pydatastream.cli.arguments import File, NoPython
from pydatastream.core.errors import ConfigError
from pydatastream.dashboard.board import Board
from pydatastream.pipeline import Pipeline

PAGE = Path(pydatastream.dashboard.__file__).with_name("page.py")
SERVED = {
    "server.address": "127.0.0.1",
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "minimal",
    "server.fileWatcherType": "none",
}
"""For who sits at this machine, and nothing is told to anybody."""


def command(
    file: File,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where the page is served.")] = 8501,
    quiet: Annotated[bool, typer.Option("--no-browser", help="Open no browser.")] = False,
    no_python: NoPython = False,
) -> None:
    """Show a live page of what a pipeline puts out."""
    if importlib.util.find_spec("streamlit") is None:
        hint = "pip install 'pydatastreamprocessor[dashboard]'"
        raise ConfigError("the dashboard needs Streamlit", hint=hint)
    Board.of(Pipeline.load(file, python=not no_python), python=not no_python).close()
    options = {**SERVED, "server.port": str(port), "server.headless": str(quiet).lower()}
    flags = [part for name, value in options.items() for part in (f"--{name}", value)]
    given = [str(file.absolute()), *(["--no-python"] if no_python else [])]
    try:
        done = subprocess.run(  # noqa: S603 - our own page, by our own interpreter
            [sys.executable, "-m", "streamlit", "run", str(PAGE), *flags, "--", *given], check=False
        )
    except KeyboardInterrupt:
        return
    raise typer.Exit(done.returncode)
