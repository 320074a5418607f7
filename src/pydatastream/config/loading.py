"""From a pipeline file to a declaration; nothing is executed, and nothing is connected."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from pydatastream.config import steps, yaml_nodes
from pydatastream.config.components import Builder, entries, text, texts
from pydatastream.config.dashboard import Dashboard
from pydatastream.config.declaration import (
    BatchLimits,
    Checkpoint,
    Declaration,
    Declared,
    ErrorPolicy,
)
from pydatastream.config.environment import Environment
from pydatastream.config.yaml_nodes import Node
from pydatastream.core.errors import ConfigError, nearest

Delivery = Literal["exactly_once", "at_least_once"]

KEYS = (
    "name", "source", "sources", "processor", "output", "outputs", "checkpoint", "on_error",
    "late", "functions", "delivery", "batch", "dashboard", "tests",
)  # fmt: skip
"""What a pipeline file may say at its top level."""


def load(path: str | Path, environment: Mapping[str, str] | None = None) -> Declaration:
    """The pipeline that a file declares; `ConfigError` with file:line:column if it is wrong.

    `environment` stands for the process's own variables.
    """
    file = Path(path)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from None
    return loads(content, str(path), file.parent, environment)


def loads(
    content: str | bytes,
    file: str = "pipeline.yaml",
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Declaration:
    """The pipeline that a YAML text declares; `file` names it in errors."""
    return _declared(yaml_nodes.read(content, file), folder or Path(), environment)


def given(
    config: Mapping[str, Any], name: str = "config", environment: Mapping[str, str] | None = None
) -> Declaration:
    """The pipeline that a program's own mapping declares, as a file here would."""
    return _declared(yaml_nodes.given(config, name), Path(), environment)


def _declared(root: Node, folder: Path, environment: Mapping[str, str] | None) -> Declaration:
    process = os.environ if environment is None else environment
    return _File(root, Builder(Environment.beside(folder, process)), folder).declaration()


@dataclass(frozen=True, slots=True)
class _File:
    """The top level of one file."""

    root: Node
    build: Builder
    folder: Path

    def declaration(self) -> Declaration:
        keys = entries(self.root, "a pipeline file", KEYS)
        functions = texts(keys["functions"]) if "functions" in keys else ()
        return Declaration(
            name=self._word("name", Path(self.root.place.file).stem),
            sources=self._nodes("source", "sources"),
            steps=steps.read(keys.get("processor"), self.build, bool(functions)),
            outputs=self._nodes("output", "outputs"),
            late=self.build.sink(keys["late"], "late") if "late" in keys else None,
            delivery=self._delivery(),
            functions=functions,
            tests=self._tests(),
            folder=self.folder,
            where=self.root.place.file,
            checkpoint=self._part("checkpoint", Checkpoint),
            on_error=self._part("on_error", ErrorPolicy),
            batch=self._part("batch", BatchLimits),
            dashboard=self._part("dashboard", Dashboard),
        )

    def _get(self, key: str) -> Node | None:
        found: Node | None = self.root.value.get(key)
        return found

    def _word(self, key: str, default: str) -> str:
        node = self._get(key)
        return default if node is None else text(self.build.filled(node), key)

    def _delivery(self) -> Any:
        word, known = self._word("delivery", "exactly_once"), get_args(Delivery)
        if word not in known:
            raise self.root.error(
                f"no delivery is called {word!r}", "delivery", hint=nearest(word, known)
            )
        return word

    def _part(self, key: str, cls: type[Any]) -> Declared[Any] | None:
        node = self._get(key)
        return None if node is None else self.build.part(node, cls, key)

    def _tests(self) -> tuple[Mapping[str, Any], ...]:
        node = self._get("tests")
        if node is None:
            return ()
        if not isinstance(node.value, list):
            raise node.error("tests must be a list")
        return tuple(one.plain() for one in node.value)

    def _nodes(self, one: str, many: str) -> tuple[Declared[Any], ...]:
        """`source:` as a node of that name, or `sources:` as named nodes."""
        single, several = self._get(one), self._get(many)
        if single is not None and several is not None:
            raise self.root.error(f"both {one!r} and {many!r}", many, hint="keep one of them")
        if single is not None:
            return (self._node(one, single, one),)
        named = entries(several, many) if several is not None else {}
        return tuple(self._node(one, node, name) for name, node in named.items())

    def _node(self, kind: str, node: Node, name: str) -> Declared[Any]:
        return self.build.source(node, name) if kind == "source" else self.build.sink(node, name)
