"""What processes cannot do together that share the partitions of a source."""

from __future__ import annotations

from collections.abc import Mapping

from pydatastream.config.declaration import Declaration
from pydatastream.core.carrying import shared
from pydatastream.core.errors import ConfigError
from pydatastream.core.plan import Plan
from pydatastream.planning.wiring import Node

INSTEAD = "`partitions: [...]` in each process, with a checkpoint of its own, instead of `balance:`"


def check_shared(plan: Plan, nodes: Mapping[str, Node]) -> None:
    """Raise `ConfigError` for what would be wrong when partitions go to another process."""
    if not shared(plan):
        return
    for source in plan.sources:
        if not source.source.shared:
            what = "how far this is read no group keeps, as it does for the other source"
            raise nodes[source.name].error(what, INSTEAD)
    for step in plan.steps:
        if step.operator.remembers:
            what = f"{step.operator.type_name()} remembers rows, which stay with this process when"
            raise nodes[step.name].error(f"{what} their partition goes to another one", INSTEAD)
    for output in plan.outputs:
        if output.sink.replaces:
            what = f"a {output.sink.type_name()} output is written by one process, not by a group"
            raise nodes[output.name].error(what, INSTEAD)


def is_shared(declaration: Declaration) -> bool:
    """Whether processes divide what a pipeline reads among them."""
    return any(one.component.shared for one in declaration.sources)


def check_unkept(declaration: Declaration, checkpoint: object) -> None:
    """Raise `ConfigError` for a checkpoint where a group keeps how far all are."""
    if checkpoint and is_shared(declaration):
        where = declaration.checkpoint.where if declaration.checkpoint else declaration.where
        what = "with `balance: true` the group keeps how far all are, and a checkpoint is one's own"
        raise ConfigError(what, where=where, hint=f"no checkpoint; or {INSTEAD}")
