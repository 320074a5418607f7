"""What a plan names outside itself, and whether it can be reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pydatastream.core.component import Component
from pydatastream.core.errors import PdsError
from pydatastream.core.plan import Output, Plan, SourceNode, Step


@dataclass(frozen=True, slots=True)
class Reached:
    """A node of the plan, and what came of the attempt to reach it."""

    node: str
    found: str
    error: PdsError | None = None


def reached(plan: Plan) -> Iterator[Reached]:
    """Try every source and every output (I/O); nothing is changed. Steps only if they fail."""
    for source in plan.sources:
        yield _tried(f"source {source.name}", lambda one=source: _source(one))  # type: ignore[misc]
    steps = (_tried(f"step {step.name}", lambda one=step: _step(one)) for step in plan.steps)  # type: ignore[misc]
    yield from (step for step in steps if step.error)
    for output in plan.outputs:
        yield _tried(f"output {output.name}", lambda one=output: _output(one))  # type: ignore[misc]


def _tried(node: str, attempt: Callable[[], str]) -> Reached:
    try:
        return Reached(node, attempt())
    except PdsError as error:
        error.where = error.where or node
        return Reached(node, "not reached", error)


def _source(node: SourceNode) -> str:
    node.source.check()
    count = len(node.source.partitions())
    return "1 partition" if count == 1 else f"{count} partitions"


def _step(step: Step) -> str:
    step.operator.check()
    return "reached"


def _output(node: Output) -> str:
    node.sink.check()
    overridden = type(node.sink).check is not Component.check
    return "reached" if overridden else "nothing to reach before it is opened"
