"""The plan: every operator bound, every schema computed; computing them IS the type check."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from pydatastream.catalog import catalog
from pydatastream.config import functions
from pydatastream.config.declaration import Custom, Declaration
from pydatastream.config.descriptions import describe
from pydatastream.core.errors import ConfigError, PdsError, SchemaError, nearest
from pydatastream.core.operator import Flow, Functions, Operator
from pydatastream.core.plan import Output, Plan, SourceNode, Step
from pydatastream.core.source import Source
from pydatastream.planning.ingest import formatted, schema_at, source_node
from pydatastream.planning.projection import used
from pydatastream.planning.sharing import check_shared
from pydatastream.planning.wiring import Node, Wiring, node_of, wire

LATE = "late"
"""The port of rows that came after their window was closed."""


def plan(declaration: Declaration, *, offline: bool = False, python: bool = True) -> Plan:
    """The checked plan of a pipeline; `ConfigError` with the place of what is wrong.

    `offline` refuses to look at a source for its columns. Python files that the pipeline lists
    are run to find its functions; without `python` such a pipeline is refused.
    """
    if declaration.functions and not python:
        raise ConfigError(
            "the pipeline lists Python files, and Python is refused here", where=declaration.where
        )
    wiring = wire(declaration)
    parts = _Parts.of(declaration, wiring)
    schemas = {
        node.name: _schema(node, parts.sources[node.name], offline) for node in wiring.sources
    }
    whole = _Typing(declaration, wiring, parts).plan(schemas)
    late = [Node("output", LATE, declaration.late)] if declaration.late else []
    nodes = [*wiring.sources, *wiring.steps, *wiring.outputs, *late]
    check_shared(whole, {node.name: node for node in nodes})
    return _narrowed(declaration, wiring, parts, whole)


def _narrowed(declaration: Declaration, wiring: Wiring, parts: _Parts, whole: Plan) -> Plan:
    """The plan that reads only what is used, if it gives the same."""
    reads = used(whole)
    if all(reads[source.name] == source.reads for source in whole.sources):
        return whole
    try:
        narrow = _Typing(declaration, wiring, parts).plan(reads)
    except SchemaError:  # a step has more to check than it reads
        return whole
    same = [one.flow for one in narrow.outputs] == [one.flow for one in whole.outputs]
    return narrow if same else whole


@contextmanager
def _at(node: Node) -> Iterator[None]:
    """Errors inside are at this node."""
    try:
        yield
    except PdsError as error:
        raise error.at(node.where) from None


def _schema(node: Node, source: Source, offline: bool) -> pl.Schema:
    with _at(node):
        return schema_at(source, offline)


@dataclass(frozen=True, slots=True)
class _Parts:
    """Components as they run: formats chosen, functions bound."""

    sources: dict[str, Source]
    operators: dict[str, Operator]
    origins: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, declaration: Declaration, wiring: Wiring) -> _Parts:
        known = functions.load(declaration)
        parts = cls({}, {})
        for node in wiring.sources:
            with _at(node):
                parts.sources[node.name] = formatted(node.declared.component)
        for node in wiring.steps:
            with _at(node):
                parts.operators[node.name] = parts.bound(node, known)
        return parts

    def bound(self, node: Node, known: Functions) -> Operator:
        """The operator with its functions; a custom step becomes `map` or `map_rows`."""
        custom = node.declared.component
        if not isinstance(custom, Custom):
            operator: Operator = custom.bind(known)
            return operator
        call = functions.call(node.declared, known)
        self.origins.update({f"{node.name}.{key}": one for key, one in call.origins.items()})
        options: dict[str, Any] = {"function": custom.function, "args": call.args}
        options |= {"schema": custom.columns} if custom.columns else {}
        kind = catalog().find("operator", "map_rows" if call.row_by_row else "map")
        return describe(kind, options).bind({custom.function: call.function})


class _Typing:
    """Computes what flows out of every node, in order."""

    def __init__(self, declaration: Declaration, wiring: Wiring, parts: _Parts) -> None:
        self._declaration = declaration
        self._wiring = wiring
        self._parts = parts
        self._flows: dict[str, Flow] = {}

    def plan(self, reads: Mapping[str, pl.Schema]) -> Plan:
        """The plan that reads these columns."""
        sources = tuple(self._source(node, reads[node.name]) for node in self._wiring.sources)
        steps = tuple(self._step(node) for node in self._wiring.steps)
        outputs = [self._output(node) for node in self._wiring.outputs]
        return Plan(
            self._declaration.name,
            sources,
            steps,
            (*outputs, *self._late(steps, outputs)),
            self._origins(),
            self._told(_shown),
        )

    def _source(self, node: Node, reads: pl.Schema) -> SourceNode:
        with _at(node):
            found = source_node(node.name, self._parts.sources[node.name], reads)
        self._flows[node.name] = found.flow
        return found

    def _step(self, node: Node) -> Step:
        operator = self._parts.operators[node.name]
        with _at(node):
            inputs = [self._flow(ref) for ref in node.inputs]
            _check_inputs(operator, node)
            flow, sides = operator.flow(*inputs), operator.side_flows(*inputs)
        self._flows[node.name] = flow
        self._flows |= {f"{node.name}.{port}": side for port, side in sides.items()}
        return Step(node.name, operator, node.inputs, flow, sides)

    def _output(self, node: Node) -> Output:
        with _at(node):
            flow, sink = self._flow(node.inputs[0]), formatted(node.declared.component)
            sink.accepts(flow.schema)
        return Output(node.name, sink, node.inputs[0], flow)

    def _flow(self, ref: str) -> Flow:
        if ref in self._flows:
            return self._flows[ref]
        known = [name for name in self._flows if name.startswith(f"{node_of(ref)}.")]
        hint = nearest(ref, known) or f"{node_of(ref)!r} has one output only"
        raise ConfigError(f"there is no output {ref!r}", hint=hint)

    def _late(self, steps: tuple[Step, ...], outputs: list[Output]) -> Iterator[Output]:
        """The output of late rows, for every step that has them to give."""
        declared = self._declaration.late
        if declared is None:
            return
        node = Node("output", LATE, declared)
        taken = {ref for step in steps for ref in step.inputs} | {one.input for one in outputs}
        refs = [f"{step.name}.{LATE}" for step in steps if LATE in step.sides]
        free = [ref for ref in refs if ref not in taken]
        if declared.inputs:
            free = list(declared.inputs)
        if len(free) != 1:
            names = ", ".join(refs) or "none"
            raise node.error(
                f"`late:` takes the late rows of one step, found {names}",
                "name them as an `input:` of `outputs:`",
            )
        yield self._output(Node("output", LATE, declared, (free[0],)))

    def _origins(self) -> dict[str, str]:
        told = self._told(lambda node: node.declared.origins)
        return {**told, **self._parts.origins}

    def _told(self, what: Callable[[Node], Mapping[str, Any]]) -> dict[str, Any]:
        """What every node has to say about its options."""
        late = self._declaration.late
        extra = (Node("output", LATE, late),) if late else ()
        nodes = (*self._wiring.sources, *self._wiring.steps, *self._wiring.outputs, *extra)
        return {f"{node.name}.{key}": one for node in nodes for key, one in what(node).items()}


def _shown(node: Node) -> dict[str, Any]:
    """Options from outside, as written; plain numbers are shown as they are."""
    values = node.declared.component.options()
    filled = node.declared.filled.items()
    return {key: one for key, one in filled if not isinstance(values.get(key), int | float)}


def _check_inputs(operator: Operator, node: Node) -> None:
    wanted, given = operator.inputs, len(node.inputs)
    if wanted is not None and wanted != given:
        raise ConfigError(
            f"{operator.type_name()} takes {wanted} input(s), found {given}",
            hint="`inputs:` names them" if wanted > 1 else "`- union:` joins inputs",
        )
