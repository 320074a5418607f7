"""On what terms the outputs of a plan are written: how often, as whom, and what goes with them."""

from __future__ import annotations

import polars as pl

from pydatastream.core.carrying import carrier, shared
from pydatastream.core.plan import Plan
from pydatastream.core.sink import Write
from pydatastream.engines.local.settings import Settings


class Terms:
    """What holds for all outputs of a run.

    Where processes share what is read, each writes under a name of its own: their epochs have
    nothing to do with each other.
    """

    def __init__(self, plan: Plan, settings: Settings) -> None:
        bounded = all(node.source.bounded for node in plan.sources)
        remote = any(output.sink.remote for output in plan.outputs)
        self.durable = settings.checkpoint is not None
        self.single = bounded and not remote and not self.durable
        once, carrying = settings.delivery == "exactly_once", carrier(plan)
        self.exactly_once = once and (carrying is not None or not shared(plan))
        self.carrier = carrying.name if once and carrying else None
        """The output that publishes how far the sources were read."""
        self._name = f"{plan.name}-{settings.instance}" if shared(plan) else plan.name

    def job(self, output: str, schema: pl.Schema) -> Write:
        """What is to be written to one output."""
        carries = output == self.carrier
        once = carries or (self.durable and self.exactly_once)
        return Write(schema, self._name, output, self.durable, self.single, once, carries)
