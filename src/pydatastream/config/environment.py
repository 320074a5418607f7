"""Values from outside the pipeline file: `${VAR}`, secret files, `.env` and overrides."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydatastream.core.errors import ConfigError

MAX_SECRET = 64 << 10
"""The largest file that `${file:...}` reads, in bytes."""

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_HOLE = re.compile(r"\$\$\{|\$\{([^}]*)\}?")
_VARIABLE = re.compile(rf"({_NAME})(?::(.*))?", re.DOTALL)
_LINE = re.compile(rf"(?:export\s+)?({_NAME})\s*=\s*(.*)")


@dataclass(frozen=True, slots=True)
class Found:
    """A value and where it came from."""

    value: str
    origin: str


@dataclass(frozen=True, slots=True)
class Environment:
    """Environment variables over those of a `.env` file."""

    process: Mapping[str, str]
    dotenv: Mapping[str, str]
    folder: Path

    @classmethod
    def beside(cls, folder: Path, process: Mapping[str, str] | None = None) -> Environment:
        """The environment of a pipeline file in this folder."""
        file = folder / ".env"
        dotenv = dict(_dotenv(file.read_text("utf-8"))) if file.is_file() else {}
        return cls(os.environ if process is None else process, dotenv, folder)

    def get(self, name: str) -> Found | None:
        """The value of a variable; the process wins over `.env`."""
        if name in self.process:
            return Found(self.process[name], f"environment {name}")
        return Found(self.dotenv[name], f".env {name}") if name in self.dotenv else None

    def override(self, node: str, option: str) -> Found | None:
        """What `<NODE>_<OPTION>` says, for example FILTER_LOW_THRESHOLD."""
        return self.get(variable(node, option))

    def under(self, node: str) -> dict[str, Found]:
        """Everything set for a node, by option in lower case."""
        prefix = variable(node, "")
        names = sorted({*self.dotenv, *self.process})
        found = {name: self.get(name) for name in names if name.startswith(prefix)}
        return {name[len(prefix) :].lower(): one for name, one in found.items() if one}

    def fill(self, text: str) -> Found | None:
        """The text with every `${...}` replaced; None if it has none.

        `$${` stands for `${`. Raises `ConfigError` naming a variable that is not set.
        """
        origins: list[str] = []

        def hole(match: re.Match[str]) -> str:
            if match[1] is None:
                return "${"
            found = self._hole(match)
            origins.append(found.origin)
            return found.value

        filled = _HOLE.sub(hole, text)
        return Found(filled, ", ".join(origins)) if _HOLE.search(text) else None

    def _hole(self, match: re.Match[str]) -> Found:
        inside = match[1].strip()
        if inside.startswith("file:"):
            return self._secret(inside[5:])
        parts = _VARIABLE.fullmatch(inside)
        if parts is None or not match[0].endswith("}"):
            raise ConfigError(
                "a variable is not written as ${NAME}, ${NAME:default} or ${file:PATH}",
                hint="write $${ for a plain ${",
            )
        name, default = parts[1], parts[2]
        if found := self.get(name):
            return found
        if default is None:
            raise ConfigError(
                f"the variable {name} is not set",
                hint=f"export {name}=..., or give a default: ${{{name}:default}}",
            )
        return Found(default, f"default of {name}")

    def _secret(self, path: str) -> Found:
        file = self.folder / path
        try:
            if not file.is_file() or file.stat().st_size > MAX_SECRET:
                raise OSError("no regular file of at most 64 KiB")
            return Found(file.read_text("utf-8").removesuffix("\n"), f"file {path}")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a readable text file"
            raise ConfigError(f"the file {path} cannot be read: {reason}") from None


def variable(node: str, option: str) -> str:
    """The name of the variable that overrides an option of a node.

    >>> variable("filter_low", "threshold")
    'FILTER_LOW_THRESHOLD'
    """
    return re.sub(r"\W", "_", f"{node}_{option}", flags=re.ASCII).upper()


def _dotenv(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        if match := _LINE.fullmatch(line.strip()):
            yield match[1], _unquoted(match[2])


def _unquoted(value: str) -> str:
    for quote in "\"'":
        if value[:1] == quote and (end := value.find(quote, 1)) > 0:
            return value[1:end]
    return re.sub(r"(?:^|\s+)#.*", "", value).strip()
