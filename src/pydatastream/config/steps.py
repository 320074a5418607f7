"""The steps of a pipeline file, in their long form and in their short one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydatastream.catalog import catalog
from pydatastream.config.components import Builder, by_name, entries, parted, refs, text
from pydatastream.config.declaration import Custom, Declared, names
from pydatastream.config.descriptions import is_mapping, option
from pydatastream.config.yaml_nodes import Node
from pydatastream.core.errors import nearest
from pydatastream.core.operator import Operator

LONG = ("name", "function", "args", "input", "inputs", "schema")
BESIDE = ("name", "input", "inputs", "schema")
"""What may stand beside the type in the short form."""


@dataclass(frozen=True, slots=True)
class _Item:
    """One step as the file has it."""

    node: Node
    type: str
    at: Node
    """Where its type stands."""
    options: Node
    beside: dict[str, Node]
    long: bool = False
    """Whether its options stand under `args`, by name."""

    @property
    def name(self) -> str | None:
        node = self.beside.get("name")
        return None if node is None else text(node, "name")


def read(node: Node | None, build: Builder, custom: bool) -> tuple[Declared[Any], ...]:
    """The steps under `processor:`; `custom` says whether Python files are listed."""
    if node is None or node.value is None:
        return ()
    if not isinstance(node.value, list):
        raise node.error("processor must be a list of steps", hint="- filter: temperature > 10")
    items = [_item(one) for one in node.value]
    named = names((item.name, item.type) for item in items)
    return tuple(
        _declared(item, name, build, custom) for item, name in zip(items, named, strict=True)
    )


def _item(node: Node) -> _Item:
    if isinstance(node.value, str):
        empty = Node({}, node.place, {})
        return _Item(node, node.value, node, empty, {})
    if not isinstance(node.value, dict):
        raise node.error("a step must be a mapping", hint="- filter: temperature > 10")
    return _long(node) if "function" in node.value else _short(node)


def _long(node: Node) -> _Item:
    given = entries(node, "a step with `function`", LONG)
    args = given.get("args") or Node({}, node.place, {})
    entries(args, "args")
    beside = {key: one for key, one in given.items() if key in BESIDE}
    return _Item(
        node, text(given["function"], "function"), given["function"], args, beside, long=True
    )


def _short(node: Node) -> _Item:
    rest, beside = parted(node, *BESIDE)
    found = list(rest.value.items())
    if len(found) != 1:
        words = ", ".join(rest.value) or "none"
        raise node.error(
            f"a step has one type, found {words}",
            *([found[1][0]] if found else []),
            hint="- filter: temperature > 10",
        )
    ((word, options),) = found
    return _Item(node, word, Node(word, node.keys[word], {}), options, beside)


def _declared(item: _Item, name: str, build: Builder, custom: bool) -> Declared[Any]:
    inputs = refs({key: one for key, one in item.beside.items() if key in ("input", "inputs")})
    if catalog().has("operator", item.type):
        if "schema" in item.beside:
            raise item.node.error("only a custom function has a schema", "schema")
        cls = catalog().find("operator", item.type)
        return build.described(_options(item, cls), cls, name, inputs, item.name)
    if not custom:
        known = catalog().names("operator")
        raise item.at.error(f"no step is called {item.type!r}", hint=nearest(item.type, known))
    return build.described(_custom(item), Custom, name, inputs, item.name)


def _options(item: _Item, cls: type[Operator]) -> Node:
    """The options by name; in the long form they mostly are."""
    words = item.options.value
    if isinstance(words, dict) and not is_mapping(option(cls, cls.primary or "")):
        for key in words.keys() & set(BESIDE):
            if option(cls, key) is None:
                what = f"`{key}:` stands beside {item.type}, not among its options"
                raise item.options.error(what, key, hint=f"{{{item.type}: ..., {key}: ...}}")
    known = isinstance(words, dict) and all(option(cls, key) for key in words)
    return item.options if item.long and known else by_name(item.options, cls)


def _custom(item: _Item) -> Node:
    """The step as options of `Custom`; a bare value is refused, for it names no argument."""
    args = item.options if item.options.value is not None else Node({}, item.options.place, {})
    entries(args, f"the arguments of {item.type}")
    values = {"function": item.at, "args": args}
    keys = {"function": item.at.place, "args": args.place}
    if "schema" in item.beside:
        values["schema"], keys["schema"] = item.beside["schema"], item.node.keys["schema"]
    return Node(values, item.node.place, keys)
