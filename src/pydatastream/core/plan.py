"""Plan: a checked pipeline as pure data; every schema is known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from pydatastream.core.component import Component
from pydatastream.core.operator import Flow, Operator
from pydatastream.core.sink import Sink
from pydatastream.core.source import Source
from pydatastream.core.types import schema_text


@dataclass(frozen=True, slots=True)
class SourceNode:
    """A source with a name: what is read, and what flows from it."""

    name: str
    source: Source
    reads: pl.Schema
    """The columns that are read, as they stand at the source."""
    flow: Flow


@dataclass(frozen=True, slots=True)
class Step:
    """An operator with a name in one plan."""

    name: str
    operator: Operator
    inputs: tuple[str, ...]
    """Names of nodes, or `step.port`."""
    flow: Flow
    sides: Mapping[str, Flow] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Output:
    """A sink with a name, and what flows into it."""

    name: str
    sink: Sink
    input: str
    flow: Flow


@dataclass(frozen=True, slots=True)
class Plan:
    """What an engine runs: nodes in an order in which each follows its inputs."""

    name: str
    sources: tuple[SourceNode, ...]
    steps: tuple[Step, ...]
    outputs: tuple[Output, ...]
    origins: Mapping[str, str] = field(default_factory=dict)
    """Which option came from where, for `explain`: "filter_low.threshold" -> "environment ..."."""
    shown: Mapping[str, Any] = field(default_factory=dict)
    """Options whose value came from outside, as they may be shown: "source.url" -> "${URL}"."""

    def step(self, name: str) -> Step:
        """The step of that name."""
        return next(step for step in self.steps if step.name == name)

    def flow_of(self, ref: str) -> Flow:
        """What flows out of a node, or out of `step.port`."""
        flows = {source.name: source.flow for source in self.sources}
        for step in self.steps:
            sides = {f"{step.name}.{port}": side for port, side in step.sides.items()}
            flows |= {step.name: step.flow, **sides}
        return flows[ref]

    def input_flows(self, step: Step) -> tuple[Flow, ...]:
        """What flows into a step, by input."""
        return tuple(self.flow_of(ref) for ref in step.inputs)

    def fingerprint(self) -> str:
        """Names the state this plan may resume: sources and steps, not outputs."""
        parts = [(s.name, _identity(s.source), schema_text(s.reads)) for s in self.sources]
        steps = [(s.name, _identity(s.operator), *s.inputs) for s in self.steps]
        return hashlib.sha256(json.dumps([parts, steps]).encode()).hexdigest()[:16]

    def explain(self, *, origins: bool = False) -> str:
        """The plan as text: each node, what it does and what flows out of it.

        It ends with the options that did not come from the file itself; `origins` adds the rest.
        """
        lines = [f"pipeline {self.name}"]
        for source in self.sources:
            lines += self._described("source", source.name, source.source)
            lines += _flowing((), source.flow)
        for step in self.steps:
            lines += self._described("step", step.name, step.operator)
            lines += _flowing(step.inputs, step.flow)
        for out in self.outputs:
            lines += self._described("output", out.name, out.sink)
            lines += _flowing((out.input,), None)
        told = {key: one for key, one in self.origins.items() if origins or one[:5] != "file "}
        return "\n".join([*lines, *(f"{option} from {origin}" for option, origin in told.items())])

    def _described(self, kind: str, name: str, component: Component) -> list[str]:
        """One line; what came from outside is shown as it was written, for it may be secret."""
        options = ", ".join(
            f"{key}={self.shown.get(f'{name}.{key}', value)}"
            for key, value in component.options().items()
        )
        return [f"{kind} {name}: {component.type_name()}({options})"]


def _identity(component: Component) -> dict[str, Any]:
    return {"type": component.type_name(), **component.options()}


def _flowing(inputs: Sequence[str], flow: Flow | None) -> list[str]:
    lines = [f"  from {', '.join(inputs)}"] if inputs else []
    if flow is not None:
        lines.append(f"  gives {schema_text(flow.schema)}")
        lines += [f"  event time {flow.time.column}"] if flow.time else []
    return lines
