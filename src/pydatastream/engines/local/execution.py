"""Stage two: the steps at work. Rows are pushed from node to node; nothing here does I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from pydatastream.core.batch import CLOCK, Emitted, Refused, Routed
from pydatastream.core.operator import Kernel
from pydatastream.core.plan import Plan, SourceNode
from pydatastream.core.state import Snapshot, State
from pydatastream.core.times import FOREVER, Micros
from pydatastream.engines.local.chains import Stage, stages
from pydatastream.engines.local.dead_letters import Graveyard
from pydatastream.engines.local.guard import guarded
from pydatastream.engines.local.ledger import Ledger
from pydatastream.engines.local.watermarks import NEVER

Emit = Callable[[str, pl.DataFrame], None]
"""Hands rows to the output of that name."""

Target = Callable[[pl.DataFrame], None]


class Executor:
    """All steps of one plan; what comes out goes to `emit`, what cannot go on to `graveyard`."""

    def __init__(
        self,
        plan: Plan,
        saved: Mapping[str, Snapshot],
        emit: Emit,
        graveyard: Graveyard,
        ledger: Ledger,
        watermarks: Mapping[str, Micros],
    ) -> None:
        self._emit, self._graveyard, self._ledger = emit, graveyard, ledger
        self.states = {step.name: State(saved.get(step.name)) for step in plan.steps}
        self._upstream = _upstream(plan)
        self._watermarks = dict(watermarks)
        self._targets: dict[str, list[Target]] = {}
        self._delays: dict[str, Micros] = {}
        self._clocks: dict[str, Micros] = {}
        self._reading = ""
        self._running = [self._open(stage) for stage in stages(plan)]
        self._held = {one.name: one.kernel.held() for one in self._running}
        self._connect(plan)

    def take(self, source: SourceNode, rows: pl.DataFrame) -> None:
        """Push rows of a source through the steps."""
        self._ledger.add(source.name, "out", rows.height)
        self._reading = source.name
        self._send(source.name, rows)

    def advance(self, source: str, watermark: Micros) -> None:
        """Tell the steps below a source how far event time has come."""
        if watermark <= self._watermarks[source]:
            return
        self._watermarks[source] = watermark
        for one in self._running:
            if source in one.clock.upstream:
                one.settle(min(self._watermarks[name] for name in one.clock.upstream))

    def snapshots(self) -> dict[str, Snapshot]:
        """The states as they are now."""
        return {name: state.snapshot() for name, state in self.states.items()}

    def sizes(self) -> tuple[int, int, int]:
        """Rows held, keys forgotten because there were too many, and about how many bytes."""
        held = sum(one.balance(self._held[one.name]) for one in self._running)
        forgotten = sum(one.kernel.forgotten for one in self._running)
        return held, forgotten, sum(state.nbytes() for state in self.states.values())

    def check(self) -> None:
        """Every row that came into a step is accounted for, or `Unbalanced`."""
        for one in self._running:
            one.check(self._held[one.name])

    def _open(self, stage: Stage) -> Running:
        upstream = frozenset[str]().union(*(self._upstream[_node(ref)] for ref in stage.inputs))
        kernel = stage.open(self.states)
        delay = max((self._delays.get(ref, 0) for ref in stage.inputs), default=0)
        for step in stage.steps:
            self._clocks[step.name] = delay
            self._delays |= {f"{step.name}.{port}": delay for port in step.sides}
            self._delays[step.name] = delay + step.operator.delay()
        behind = [delay - self._clocks.get(_node(ref), 0) for ref in stage.inputs]
        clock = Clock(upstream, delay, behind, lambda: self._slowest_other(upstream))
        return Running(stage, kernel, clock, self._send, self._graveyard, self._ledger)

    def _slowest_other(self, sources: frozenset[str]) -> Micros:
        """How far event time has come at these sources, but for the one whose rows are at work."""
        others = sources - {self._reading}
        return min((self._watermarks[name] for name in others), default=FOREVER)

    def _connect(self, plan: Plan) -> None:
        for one in self._running:
            for port, ref in enumerate(one.stage.inputs):
                self._targets.setdefault(ref, []).append(one.input(port))
        for output in plan.outputs:
            self._targets.setdefault(output.input, []).append(self._output(output.name))

    def _output(self, name: str) -> Target:
        def send(rows: pl.DataFrame) -> None:
            self._ledger.add(name, "sent", rows.height)
            self._emit(name, rows.drop(CLOCK) if CLOCK in rows.columns else rows)

        return send

    def _send(self, ref: str, rows: pl.DataFrame) -> None:
        if rows.height:
            for target in self._targets.get(ref, ()):
                target(rows)


@dataclass(frozen=True, slots=True)
class Clock:
    """Event time at one step, which windows above and other sources hold back."""

    upstream: frozenset[str]
    """The sources that feed the step."""
    delay: Micros
    """How much later rows come here because windows above have waited for theirs."""
    behind: list[Micros]
    """By input: how much of the delay is not yet in the clock that its rows carry."""
    slowest_other: Callable[[], Micros]

    def at(self, watermark: Micros) -> Micros:
        """The clock here when the sources have come so far."""
        return watermark - self.delay if watermark < FOREVER else watermark

    def stamped(self, rows: pl.DataFrame, port: int) -> pl.DataFrame:
        """Rows with the clock as it stood here when each arrived, if they carry one."""
        several, behind = len(self.upstream) > 1, self.behind[port]
        if CLOCK not in rows.columns or not (several or behind):
            return rows
        most = self.at(self.slowest_other())
        return rows.with_columns((pl.col(CLOCK) - behind).clip(upper_bound=most))


class Running:
    """One stage at work: its kernel, where its rows go, and its counts."""

    def __init__(
        self,
        stage: Stage,
        kernel: Kernel,
        clock: Clock,
        send: Callable[[str, pl.DataFrame], None],
        graveyard: Graveyard,
        ledger: Ledger,
    ) -> None:
        self.stage, self.kernel, self.clock = stage, kernel, clock
        self.name, self.watermark = stage.name, NEVER
        self._send, self._graveyard, self._ledger = send, graveyard, ledger

    def input(self, port: int) -> Target:
        """Takes the rows of one input."""

        def take(rows: pl.DataFrame) -> None:
            self._ledger.add(self.name, "in", rows.height)
            rows = self.clock.stamped(rows, port)
            self._pass_on(guarded(lambda piece: self.kernel.on_batch(piece, port), rows))

        return take

    def settle(self, watermark: Micros) -> None:
        """Event time has come so far at the sources."""
        watermark = self.clock.at(watermark)
        if watermark > self.watermark:
            self.watermark = watermark
            self._pass_on(self.kernel.on_watermark(watermark))

    def check(self, held_before: int) -> None:
        """Rows in = rows passed on + filtered + late + dead + in released windows + held."""
        self._ledger.check_step(self.name, held_before, self.balance(held_before))

    def balance(self, held_before: int) -> int:
        """Count rows dropped or made, which are known from the rest; returns how many it holds."""
        count, held = self._ledger.of, self.kernel.held()
        self._ledger.put(self.name, "released", self.kernel.released)
        if not self.stage.aggregates:
            gone = sum(count(self.name, kind) for kind in ("passed", "late", "dead", "released"))
            left = count(self.name, "in") + held_before - held - gone
            self._ledger.put(self.name, "filtered", max(left, 0))
            self._ledger.put(self.name, "created", max(-left, 0))
        return held

    def _pass_on(self, emitted: Iterable[Emitted]) -> None:
        for one in emitted:
            if isinstance(one, Refused):
                self._ledger.add(self.name, "dead", one.rows.height)
                self._graveyard.bury(one, one.step or self.name)
            elif isinstance(one, Routed):
                self._count_out(one.rows, "late" if one.port == "late" else "passed")
                self._send(f"{self.name}.{one.port}", one.rows)
            else:
                self._count_out(one, "passed")
                self._send(self.name, one)

    def _count_out(self, rows: pl.DataFrame, kind: str) -> None:
        if kind == "late" or not self.stage.aggregates:
            self._ledger.add(self.name, kind, rows.height)


def _node(ref: str) -> str:
    return ref.split(".", 1)[0]


def _upstream(plan: Plan) -> dict[str, frozenset[str]]:
    """The sources that feed each node."""
    found = {source.name: frozenset({source.name}) for source in plan.sources}
    for step in plan.steps:
        found[step.name] = frozenset().union(*(found[_node(ref)] for ref in step.inputs))
    return found
