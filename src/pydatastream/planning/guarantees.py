"""How often a row can appear in each output when things fail, and why."""

from __future__ import annotations

from dataclasses import dataclass

from pydatastream.core.carrying import carrier, shared
from pydatastream.core.plan import Output, Plan
from pydatastream.core.sink import Delivery


@dataclass(frozen=True, slots=True)
class Guarantee:
    """What an output promises from end to end."""

    delivery: Delivery
    reason: str

    def __str__(self) -> str:
        return f"{self.delivery.replace('_', ' ')}: {self.reason}"


def guarantee(plan: Plan, durable: bool, delivery: str = "exactly_once") -> dict[str, Guarantee]:
    """The strongest promise of each output, by name.

    `durable` says whether the run keeps a checkpoint; `delivery` is what the pipeline asks for.
    """
    return {output.name: _promised(plan, output, durable, delivery) for output in plan.outputs}


def _promised(plan: Plan, output: Output, durable: bool, asked: str) -> Guarantee:
    able, kind = output.sink.delivery, output.sink.type_name()
    if able is Delivery.AT_MOST_ONCE:
        return Guarantee(able, f"a {kind} keeps nothing for a reader that is not there")
    if shared(plan):
        return _sharing(plan, output, asked)
    if not durable:
        return _passing(plan, output)
    if able is Delivery.EXACTLY_ONCE and asked == Delivery.AT_LEAST_ONCE:
        return Guarantee(Delivery.AT_LEAST_ONCE, "the pipeline asks for no more (`delivery:`)")
    return Guarantee(able, f"{_read_again(plan)}; {_HOW[able].format(kind=kind)}")


_HOW = {
    Delivery.EXACTLY_ONCE: "{kind} remembers the last epoch it has published",
    Delivery.EFFECTIVELY_ONCE: "{kind} overwrites by key what comes again",
    Delivery.AT_LEAST_ONCE: "{kind} cannot tell what it has written before a crash",
}


def _sharing(plan: Plan, output: Output, asked: str) -> Guarantee:
    """Processes share what is read, and whoever keeps it knows how far all are."""
    kind = output.sink.type_name()
    if asked == Delivery.EXACTLY_ONCE and output == carrier(plan):
        why = f"how far the group has read is in the transactions of {kind}"
        return Guarantee(Delivery.EXACTLY_ONCE, f"{why}, whoever has the partition")
    why = "what was published, and the group not yet told, comes again from who has the partition"
    return Guarantee(Delivery.AT_LEAST_ONCE, why)


def _passing(plan: Plan, output: Output) -> Guarantee:
    """Without a checkpoint, a run that ends is started again; one that does not loses rows."""
    able, kind = output.sink.delivery, output.sink.type_name()
    if not all(source.source.bounded for source in plan.sources):
        why = "a crash loses what is under way, and the next run begins anew"
        return Guarantee(Delivery.AT_MOST_ONCE, f"no checkpoint: {why}")
    again = "a run that failed is started again, and"
    if output.sink.replaces:
        return Guarantee(able, f"{again} replaces its output")
    if able is Delivery.EFFECTIVELY_ONCE:
        return Guarantee(able, f"{again} {_HOW[able].format(kind=kind)}")
    return Guarantee(Delivery.AT_LEAST_ONCE, f"{again} {kind} may have its rows twice")


def _read_again(plan: Plan) -> str:
    spooled = [source.name for source in plan.sources if not source.source.replayable]
    if spooled:
        return f"what {', '.join(spooled)} gives is spooled before it is used"
    return "every row can be read again"
