"""Demonstrations: each is a module, or a package with its data, of this folder; none is listed.

The first line of its docstring says what it shows. `run(out)` shows it, without any server, and
writes only into the folder it is started in. `FULL`, if it is there, says what the full form
needs, and where it is.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console

from pydatastream.core.errors import ConfigError, nearest

MAIN = "motes"
"""The one that is shown when none is asked for."""


@dataclass(frozen=True, slots=True)
class Demo:
    """One demonstration."""

    name: str
    about: str
    run: Callable[[Console], None]
    full: str = ""
    """What the full form needs, and where it is."""


def demo_names() -> list[str]:
    """The names of all demonstrations, the main one first."""
    names = (info.name for info in pkgutil.iter_modules(__path__))
    return sorted(names, key=lambda name: (name != MAIN, name))


def demo(name: str) -> Demo:
    """The demonstration of that name; `ConfigError` if there is none."""
    if name not in demo_names():
        raise ConfigError(f"no demo is called {name!r}", hint=nearest(name, demo_names()))
    module = importlib.import_module(f"{__name__}.{name}")
    about = (module.__doc__ or "").partition("\n")[0].rstrip(".")
    return Demo(name, about, module.run, getattr(module, "FULL", ""))
