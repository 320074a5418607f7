"""Which output can publish how far shared sources were read, in one with its rows."""

from __future__ import annotations

from pydatastream.core.plan import Output, Plan


def shared(plan: Plan) -> bool:
    """Whether processes divide what the plan reads among them."""
    return any(node.source.shared for node in plan.sources)


def carrier(plan: Plan) -> Output | None:
    """The one output that can; with several, rows could be in one and not in the other."""
    if not shared(plan) or len(plan.outputs) > 1:
        return None
    output = plan.outputs[0]
    able = all(output.sink.carries(node.source) for node in plan.sources)
    return output if able else None
