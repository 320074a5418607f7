"""Which columns of each source are really used, told by walking the steps backwards."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from pydatastream.core.format import StreamFormat
from pydatastream.core.plan import Plan, SourceNode

Need = frozenset[str] | None
"""Names of columns; None: all of them."""


def used(plan: Plan) -> Mapping[str, pl.Schema]:
    """The columns that each source must read, by source."""
    needs = _needs(plan)
    return {source.name: _narrowed(source, needs[source.name]) for source in plan.sources}


def _needs(plan: Plan) -> dict[str, Need]:
    needs: dict[str, Need] = {
        node.name: frozenset() for nodes in (plan.sources, plan.steps) for node in nodes
    }
    for output in plan.outputs:
        _add(needs, output.input, None)
    for step in reversed(plan.steps):
        ported = any(ref.startswith(f"{step.name}.") for ref in _refs(plan))
        needed = None if ported else step.operator.reads(needs[step.name])
        for ref in step.inputs:
            _add(needs, ref, needed)
    return needs


def _refs(plan: Plan) -> list[str]:
    return [ref for step in plan.steps for ref in step.inputs] + [
        output.input for output in plan.outputs
    ]


def _add(needs: dict[str, Need], ref: str, more: Need) -> None:
    if ref in needs:
        now = needs[ref]
        needs[ref] = None if now is None or more is None else now | more


def _narrowed(node: SourceNode, need: Need) -> pl.Schema:
    form, headed = getattr(node.source, "format", None), node.source.headed
    if need is None or (isinstance(form, StreamFormat) and form.by_position(headed=headed)):
        return node.reads
    kept = need | {*node.source.required, node.source.time}
    columns = {name: dtype for name, dtype in node.reads.items() if name in kept}
    return pl.Schema(columns or dict(list(node.reads.items())[:1]))
