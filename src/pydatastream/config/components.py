"""A node of a pipeline file becomes a component, its options filled, overridden and checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydatastream.catalog import Kind, catalog
from pydatastream.config.declaration import Custom, Declared
from pydatastream.config.descriptions import (
    BadOption,
    describe,
    is_list,
    is_mapping,
    option,
    options_of,
    shown,
)
from pydatastream.config.environment import Environment, Found
from pydatastream.config.yaml_nodes import Node
from pydatastream.core.component import Component
from pydatastream.core.errors import ConfigError, PdsError, nearest
from pydatastream.core.sink import Sink
from pydatastream.core.source import Source


def entries(node: Node, what: str, known: Sequence[str] | None = None) -> dict[str, Node]:
    """The entries of a mapping; `ConfigError` if it is none, or has a key that is not known."""
    if not isinstance(node.value, dict):
        raise node.error(f"{what} must be a mapping, found {shown(node.plain())}")
    for key in node.value if known is not None else ():
        if key not in (known or ()):
            raise node.error(f"{what} has no key {key!r}", key, hint=nearest(key, known or ()))
    return node.value


def text(node: Node, what: str) -> str:
    """The text that a node must be."""
    if not isinstance(node.value, str):
        hint = 'quote it if it is a word: "null"' if node.value is None else "quote it"
        raise node.error(f"{what} must be text, found {shown(node.plain())}", hint=hint)
    return node.value


def texts(node: Node, what: str = "this") -> tuple[str, ...]:
    """A list of texts, or a single one."""
    nodes = node.value if isinstance(node.value, list) else [node]
    return tuple(text(one, what) for one in nodes)


@dataclass(frozen=True, slots=True)
class Builder:
    """Makes components from nodes within one environment."""

    environment: Environment

    def source(self, node: Node, name: str) -> Declared[Source]:
        """The source that a node describes."""
        return self._typed(node, "source", name, ())

    def sink(self, node: Node, name: str) -> Declared[Sink]:
        """The sink that a node describes, and which step it takes."""
        node, inputs = parted(node, "input", "inputs")
        found: Declared[Sink] = self._typed(node, "sink", name, refs(inputs))
        return found

    def part(self, node: Node, cls: type[Component], name: str) -> Declared[Any]:
        """A part of the pipeline that has no type of its own: `checkpoint`, `batch`."""
        return self.described(by_name(node, cls), cls, name)

    def described(
        self,
        node: Node,
        cls: type[Component],
        name: str,
        inputs: tuple[str, ...] = (),
        explicit: str | None = None,
    ) -> Declared[Any]:
        """A component of this class from the options in a node, which has them by name."""
        try:
            return self._described(node, cls, name, inputs, explicit)
        except BadOption as error:
            raise node.error(error.what, *error.path, hint=error.hint) from None
        except PdsError as error:
            raise error.at(str(node.place)) from None

    def filled(self, node: Node) -> Node:
        """The node with every `${...}` in its text replaced."""
        if isinstance(node.value, dict):
            value: Any = {key: self.filled(one) for key, one in node.value.items()}
        elif isinstance(node.value, list):
            value = [self.filled(one) for one in node.value]
        elif isinstance(node.value, str) and (found := self._fill(node)):
            value = found.value
        else:
            return node
        return Node(value, node.place, node.keys)

    def _typed(self, node: Node, kind: Kind, name: str, inputs: tuple[str, ...]) -> Declared[Any]:
        if isinstance(node.value, str):
            node = Node({"type": node}, node.place, {"type": node.place})
        given = node.value if isinstance(node.value, dict) else {}
        if "type" not in given:
            hint = f"type: {' | '.join(catalog().names(kind))}"
            raise node.error(f"{name} needs the type of a {kind}", hint=hint)
        word = text(self.filled(given["type"]), "type")
        try:
            cls = catalog().find(kind, word)
        except ConfigError as error:
            raise node.error(error.what, "type", "type", hint=error.hint) from None
        return self.described(parted(node, "type")[0], cls, name, inputs, name)

    def _described(
        self,
        node: Node,
        cls: type[Component],
        name: str,
        inputs: tuple[str, ...],
        explicit: str | None,
    ) -> Declared[Any]:
        written = node.plain()
        options = self.filled(node).plain()
        origins = {key: self._origin(node, key) for key in written}
        outside = {key: one for key, one in written.items() if options.get(key) != one}
        for key, found in self._overrides(cls, name).items():
            options[key] = self._split(cls, key, found)
            origins[key] = found.origin
            outside[key] = f"${{{found.origin.split()[-1]}}}"
        try:
            component = describe(cls, options, name if cls.kind == Component.kind else None)
        except BadOption as error:
            raise _unshown(error, outside, origins) from None
        declared = Declared(component, explicit, inputs, written, str(node.place), origins, outside)
        return self._open_ended(declared, name)

    def _open_ended(self, declared: Declared[Any], name: str) -> Declared[Any]:
        if not isinstance(declared.component, Custom):
            return declared
        return dataclasses.replace(declared, overrides=self.environment.under(name))

    def _overrides(self, cls: type[Component], name: str) -> Mapping[str, Found]:
        """What the environment says about options, by their names in a file."""
        found: dict[str, Found] = {}
        for field, info in cls.model_fields.items():
            key = info.alias or field
            promised = [self.environment.get(one) for one in cls.env.get(field, ())]
            for one in (self.environment.override(name, key), *promised):
                if one and key not in found and not is_mapping(info):
                    found[key] = one
        return {} if cls is Custom else found

    def _split(self, cls: type[Component], key: str, found: Found) -> Any:
        if not is_list(option(cls, key)):
            return found.value
        return [part.strip() for part in found.value.split(",")]

    def _origin(self, node: Node, key: str) -> str:
        place = node.place_of(key)
        filled = [found.origin for one in _leaves(node, key) if (found := self._fill(one))]
        return ", ".join(filled) or place.row

    def _fill(self, node: Node) -> Found | None:
        try:
            return self.environment.fill(node.value) if isinstance(node.value, str) else None
        except ConfigError as error:
            raise error.at(str(node.place)) from None


def by_name(node: Node, cls: type[Component]) -> Node:
    """The node with its options by name: a bare value stands for the primary one."""
    plain = node.plain()
    try:
        options = options_of(cls, plain)
    except BadOption as error:
        raise node.error(error.what, hint=error.hint) from None
    if options == (plain or {}):
        return Node(node.value or {}, node.place, node.keys)
    ((key, value),) = options.items()
    inner = node if value == plain else Node([node], node.place, {})
    return Node({key: inner}, node.place, {key: node.place})


def parted(node: Node, *keys: str) -> tuple[Node, dict[str, Node]]:
    """A mapping without these keys, and what stood under them."""
    if not isinstance(node.value, dict):
        return node, {}
    rest = {key: one for key, one in node.value.items() if key not in keys}
    taken = {key: one for key, one in node.value.items() if key in keys}
    return Node(rest, node.place, node.keys), taken


def refs(given: Mapping[str, Node]) -> tuple[str, ...]:
    """The names under `input` or `inputs`."""
    if len(given) > 1:
        raise given["inputs"].error("both 'input' and 'inputs'", hint="keep one of them")
    return next((texts(node, key) for key, node in given.items()), ())


def _leaves(node: Node, key: str) -> list[Node]:
    start = node.value.get(key, node) if isinstance(node.value, dict) else node
    pending, found = [start], []
    while pending:
        one = pending.pop()
        inner = one.value
        pending += inner.values() if isinstance(inner, dict) else ()
        pending += inner if isinstance(inner, list) else ()
        found += [one] if isinstance(inner, str) else []
    return found[::-1]


def _unshown(error: BadOption, outside: Mapping[str, Any], origins: Mapping[str, str]) -> BadOption:
    """The error without the value, if that came from outside the file."""
    key = str(error.path[0]) if error.path else ""
    if key not in outside:
        return error
    wanted = f"{key} {error.wanted or 'does not fit'}"
    return BadOption(f"{wanted}; its value came from {origins[key]}", error.path)
