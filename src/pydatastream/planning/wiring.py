"""Who takes whose rows: defaults filled in, every reference found, no circle."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydatastream.config.declaration import Declaration, Declared, names_of
from pydatastream.core.errors import ConfigError, nearest

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Node:
    """A declared component with its name and its inputs, as `node` or `step.port`."""

    kind: str
    name: str
    declared: Declared[Any]
    inputs: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """The place of the node, for errors."""
        return f"{self.declared.where or 'pipeline'} ({self.kind} {self.name})"

    def error(self, what: str, hint: str | None = None) -> ConfigError:
        """An error at this node."""
        return ConfigError(what, where=self.where, hint=hint)


@dataclass(frozen=True, slots=True)
class Wiring:
    """All nodes; steps in an order in which each follows its inputs."""

    sources: tuple[Node, ...]
    steps: tuple[Node, ...]
    outputs: tuple[Node, ...]


def wire(declaration: Declaration) -> Wiring:
    """The nodes of a pipeline, connected; `ConfigError` for what does not fit together."""
    sources = _nodes("source", declaration.sources, "source")
    steps = _nodes("step", declaration.steps)
    outputs = _nodes("output", declaration.outputs, "output")
    if not sources:
        raise ConfigError("nothing is read: no source", where=declaration.where)
    if not outputs and declaration.late is None:
        raise ConfigError("nothing is written: no output", where=declaration.where)
    _check_names([*sources, *steps, *outputs])
    _check_sequence(sources)
    steps = [
        _wired(step, _before(step, sources, steps[:place])) for place, step in enumerate(steps)
    ]
    outputs = [_wired(output, _before(output, sources, steps)) for output in outputs]
    _check_refs([*sources, *steps], [*steps, *outputs])
    ordered = _ordered(steps)
    _check_readers([*sources, *steps], [*steps, *outputs], declaration.late is not None)
    return Wiring(tuple(sources), ordered, tuple(outputs))


def node_of(ref: str) -> str:
    """The node in `node` or `step.port`."""
    return ref.partition(".")[0]


def _nodes(kind: str, given: Sequence[Declared[Any]], default: str | None = None) -> list[Node]:
    named = zip(names_of(given, default), given, strict=True)
    return [Node(kind, name, declared, declared.inputs) for name, declared in named]


def _check_names(nodes: Sequence[Node]) -> None:
    seen: dict[str, Node] = {}
    for node in nodes:
        if not _NAME.fullmatch(node.name):
            raise node.error(f"{node.name!r} is no name", "letters, digits, _ and -")
        if node.name in seen:
            first = seen[node.name]
            raise node.error(
                f"the name {node.name!r} is taken by a {first.kind}", "give one of them a `name:`"
            )
        seen[node.name] = node


def _check_sequence(sources: Sequence[Node]) -> None:
    """Sources that come after others: those are there, have an end, and wait for no one in turn."""
    by_name = {node.name: node.declared.component for node in sources}
    for node in sources:
        path = [node.name]
        while (before := by_name[path[-1]].after) is not None:
            if before not in by_name:
                raise node.error(f"no source is called {before!r}", nearest(before, by_name))
            if before in path:
                raise node.error(f"sources wait for each other: {' -> '.join([*path, before])}")
            if not by_name[before].bounded:
                raise node.error(f"{before!r} has no end, so nothing can come after it")
            path.append(before)


def _wired(node: Node, inputs: tuple[str, ...]) -> Node:
    return dataclasses.replace(node, inputs=inputs)


def _before(node: Node, sources: Sequence[Node], steps: Sequence[Node]) -> tuple[str, ...]:
    """The inputs that were given, or else the step before, or the only source."""
    if node.inputs:
        return node.inputs
    if steps:
        return (steps[-1].name,)
    if len(sources) > 1:
        names = ", ".join(source.name for source in sources)
        raise node.error("it is open which source this takes", f"`input:` with one of: {names}")
    return (sources[0].name,)


def _check_refs(givers: Sequence[Node], takers: Sequence[Node]) -> None:
    known = [giver.name for giver in givers]
    for node in takers:
        for ref in node.inputs:
            if node_of(ref) not in known:
                raise node.error(f"no step or source is called {ref!r}", nearest(ref, known))
        if node.kind == "output" and len(node.inputs) > 1:
            raise node.error("an output takes one input", "join them by a step `- union:`")
        if twice := [ref for ref, count in Counter(node.inputs).items() if count > 1]:
            raise node.error(f"takes {twice[0]!r} twice")


def _check_readers(givers: Sequence[Node], takers: Sequence[Node], late: bool) -> None:
    taken = {node_of(ref) for node in takers for ref in node.inputs}
    for node in givers:
        if node.name not in taken and not (late and node.kind == "step"):
            raise node.error(
                f"no step and no output takes what {node.name!r} gives",
                f"name it as an `input:`, or remove the {node.kind}",
            )


def _ordered(steps: Iterable[Node]) -> tuple[Node, ...]:
    """Steps after their inputs; otherwise as they were declared."""
    by_name = {step.name: step for step in steps}
    done: dict[str, Node] = {}
    for step in by_name.values():
        _visit(step, by_name, done, ())
    return tuple(done.values())


def _visit(
    step: Node, steps: Mapping[str, Node], done: dict[str, Node], path: tuple[str, ...]
) -> None:
    if step.name in path:
        circle = " -> ".join([*path[path.index(step.name) :], step.name])
        raise step.error(f"steps take each other's rows in a circle: {circle}")
    for ref in step.inputs:
        name = node_of(ref)
        if name in steps and name not in done:
            _visit(steps[name], steps, done, (*path, step.name))
    done.setdefault(step.name, step)
