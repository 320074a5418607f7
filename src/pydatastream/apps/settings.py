"""A program's own settings: a YAML file under `.env` under the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydatastream.config import yaml_nodes
from pydatastream.config.components import Builder, entries
from pydatastream.config.environment import Environment, variable
from pydatastream.config.yaml_nodes import Node
from pydatastream.core.errors import ConfigError


class Settings(dict[str, Any]):
    """Settings by key, which know where they stand; a key that is missing says which, and where."""

    def __init__(self, node: Node, builder: Builder, name: str = "") -> None:
        self._node, self._environment, self._name = node, builder.environment, name
        super().__init__(
            {key: _value(one, builder, name, key) for key, one in entries(node, "this").items()}
        )

    def __missing__(self, key: str) -> Any:
        if found := self._environment.get(_variable(self._name, key)):
            return found.value
        named = f"{self._name}.{key}" if self._name else key
        hint = f"add `{key}: ...`, or set the variable {_variable(self._name, key)}"
        raise self._node.error(f"the key {named!r} is missing", hint=hint)

    def section(self, key: str) -> Settings:
        """The settings under a key; none if it is not there, an error if it holds no settings."""
        found = self.get(key)
        if found is None:
            return Settings(Node({}, self._node.place_of(key), {}), Builder(self._environment), key)
        if not isinstance(found, Settings):
            raise self._node.error(f"{key} must be a mapping, found {found!r}", key)
        return found

    def place(self, *path: str | int) -> str:
        """Where the value under these keys stands: file:line:column."""
        return str(self._node.place_of(*path))


def load_config(path: str | Path = "config.yaml") -> Settings:
    """The settings in a YAML file; `ConfigError` with file:line:column if it is malformed.

    `${VAR}` and `${VAR:default}` are filled in. A variable called like a key in capitals, or for
    a key within a mapping like both (`REDIS_URL`), overrides the file; the environment wins over
    a file `.env` beside it.
    """
    file = Path(path)
    try:
        root = yaml_nodes.read(file.read_bytes(), str(path))
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from None
    return Settings(root, Builder(Environment.beside(file.parent)))


def _value(node: Node, builder: Builder, name: str, key: str) -> Any:
    if isinstance(node.value, dict):
        return Settings(node, builder, f"{name}_{key}" if name else key)
    found = builder.environment.get(_variable(name, key))
    return found.value if found else builder.filled(node).plain()


def _variable(name: str, key: str) -> str:
    return variable(name, key) if name else variable(key, "")[:-1]
