"""From a declaration back to the pipeline file that declares the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import yaml
from pydantic import SecretStr

from pydatastream.config.declaration import Custom, Declaration, Declared, names_of
from pydatastream.config.descriptions import BadOption, describe, options_of
from pydatastream.config.steps import BESIDE
from pydatastream.config.yaml_nodes import scalar
from pydatastream.core.component import Component
from pydatastream.core.errors import ConfigError

PLAIN = (str, int, float, bool, type(None))

BREAKS = set("\x85\u2028\u2029\ufeff")
"""Ends of lines that YAML reads as spaces unless they are escaped; and a mark that it drops."""


def to_yaml(declaration: Declaration) -> str:
    """The pipeline file; `ConfigError` naming the node that has no written form.

    Options that came from `${...}` or from the environment are written as they stood in the file.
    """
    return yaml.dump(
        _file(declaration), Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True
    )


def _file(pipeline: Declaration) -> dict[str, Any]:
    found: dict[str, Any] = {"name": pipeline.name}
    found |= _nodes(pipeline.sources, "source", "sources")
    named = zip(pipeline.steps, names_of(pipeline.steps), strict=True)
    if pipeline.steps:
        found["processor"] = [_step(step, name) for step, name in named]
    found |= _nodes(pipeline.outputs, "output", "outputs")
    if pipeline.late:
        found["late"] = _typed(pipeline.late, "late")
    for key, part in _parts(pipeline).items():
        found[key] = _bare(type(part.component), _options(part, key))
    if pipeline.functions:
        found["functions"] = list(pipeline.functions)
    if pipeline.delivery != "exactly_once":
        found["delivery"] = pipeline.delivery
    return found | ({"tests": list(pipeline.tests)} if pipeline.tests else {})


def _parts(pipeline: Declaration) -> dict[str, Declared[Any]]:
    parts = {
        key: getattr(pipeline, key) for key in ("checkpoint", "on_error", "batch", "dashboard")
    }
    return {key: part for key, part in parts.items() if part}


def _nodes(nodes: Sequence[Declared[Any]], one: str, many: str) -> dict[str, Any]:
    named = dict(zip(names_of(nodes, one), nodes, strict=True))
    if list(named) == [one]:
        return {one: _typed(named[one], one)}
    return {many: {name: _typed(node, name) for name, node in named.items()}} if named else {}


def _typed(node: Declared[Any], name: str) -> dict[str, Any]:
    return {"type": node.type, **_options(node, name), **_inputs(node)}


def _inputs(node: Declared[Any]) -> dict[str, Any]:
    match node.inputs:
        case ():
            return {}
        case (single,):
            return {"input": single}
    return {"inputs": list(node.inputs)}


def _step(node: Declared[Any], name: str) -> dict[str, Any]:
    options = _options(node, name)
    beside = {"name": node.name} if node.name else {}
    beside |= _inputs(node)
    if isinstance(node.component, Custom):
        schema = {"schema": options["schema"]} if options.get("schema") else {}
        return {node.type: options.get("args") or {}, **beside, **schema}
    cls = type(node.component)
    short = _bare(cls, options)
    if options_of(cls, short) == options and node.type not in BESIDE:
        return {node.type: short, **beside}
    return {"function": node.type, "args": options, **beside}


def _bare(cls: type[Component], options: dict[str, Any]) -> Any:
    """Options in their shortest form: the primary one alone needs no name."""
    primary = cls.primary
    if primary is None or list(options) != [primary]:
        return options
    short = options[primary]
    return short if short is not None and options_of(cls, short) == options else options


def _options(node: Declared[Any], name: str) -> dict[str, Any]:
    if node.written is not None:
        return dict(node.written)
    try:
        options = node.component.options()
    except ConfigError as error:
        raise error.at(name) from None
    except (ValueError, TypeError) as error:
        raise _unwritable(name, f"it holds what only Python can express ({error})") from None
    _check(node.component, name)
    try:
        describe(type(node.component), options)
    except BadOption as error:
        raise _unwritable(name, error.what, "write what it holds to a file") from None
    return {key: _escaped(value, f"{name}.{key}") for key, value in options.items()}


def _check(component: Component, name: str) -> None:
    for field in component.model_fields_set:
        value = getattr(component, field)
        if isinstance(value, SecretStr):
            raise _unwritable(f"{name}.{field}", "it is a secret", "write ${VARIABLE} in the file")
        if callable(value):
            raise _unwritable(
                f"{name}.{field}",
                "it is a Python function",
                "name it as text, and list its file under `functions:`",
            )
        if any(isinstance(part, pl.Expr) for part in _parts_within(value)):
            raise _unwritable(
                f"{name}.{field}", "it is a Polars expression", "write it as SQL text"
            )


def _parts_within(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [part for one in value.values() for part in _parts_within(one)]
    if isinstance(value, list | tuple):
        return [part for one in value for part in _parts_within(one)]
    return [value]


def _escaped(value: Any, where: str) -> Any:
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, Mapping):
        return {str(key): _escaped(one, where) for key, one in value.items()}
    if isinstance(value, list):
        return [_escaped(one, where) for one in value]
    if not isinstance(value, PLAIN):
        raise _unwritable(where, f"a {type(value).__name__} has no form in YAML")
    return value


def _unwritable(where: str, why: str, hint: str | None = None) -> ConfigError:
    return ConfigError(f"cannot be written as YAML: {why}", where=where, hint=hint)


class _Dumper(yaml.SafeDumper):
    """Lists of plain values on one line, no aliases, text quoted where it would read otherwise."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = None if isinstance(scalar(value), str) else "'"
    style = '"' if BREAKS & set(value) else style
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _list(dumper: yaml.SafeDumper, value: list[Any]) -> yaml.SequenceNode:
    plain = all(isinstance(one, PLAIN) for one in value)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=plain)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)
