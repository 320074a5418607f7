"""Attacks by volume: how odd the traffic to each destination is, and alarms."""

from __future__ import annotations

from typing import ClassVar

import polars as pl
from pydantic import Field

from pydatastream.core.batch import Emission, Routed
from pydatastream.core.errors import SchemaError
from pydatastream.core.operator import EventTime, Flow, Kernel, Operator
from pydatastream.core.state import State
from pydatastream.core.times import FOREVER, Duration, Micros, micros
from pydatastream.core.types import need
from pydatastream.parts.traffic.alarms import ALARM
from pydatastream.parts.traffic.columns import COUNTS
from pydatastream.parts.traffic.watching import ADDED, Settings, Watch
from pydatastream.parts.windows.waiting import Waiting


class AttackScore(Operator):
    """Score how likely each window of traffic is part of an attack, and raise alarms.

    Takes what `flow_features` gives; a column that is missing counts as 0. Every count is
    followed per destination by an exponentially weighted mean and deviation of its logarithm,
    which windows that are odd hardly move, and alarms not at all. A destination known for fewer
    than `warmup` windows is compared with the whole network.

    Adds `score` (0 where all is usual; an attack from `threshold` on), `why` (the kind of traffic
    that scores most), `usual` (packets), and `attack` (the type, while an alarm is open). The port
    `alarms` has a row when an alarm is raised, when its type is told otherwise, and when it has
    ended. Slow ramps are found by a CUSUM, attacks on many destinations by the row of the
    network, "*", unless one of them has an alarm of its own.

    State: a few dozen numbers per destination, for at most `max_keys`, the latest.

    References: Roberts (1959), Control Chart Tests Based on Geometric Moving Averages; Page
    (1954), Continuous Inspection Schemes; Feinstein et al. (2003), Statistical Approaches to
    DDoS Attack Detection and Response, DISCEX, section 3 (entropy of sources).
    """

    primary: ClassVar[str | None] = "by"
    ports: ClassVar[tuple[str, ...]] = ("alarms", "late")
    aggregates: ClassVar[bool] = True
    example: ClassVar[str] = "- attack_score: {by: device_id, warmup: 3, hold: 30s, threshold: 2}"

    by: str = "dest_ip"
    """The column of the destination."""
    threshold: float = Field(5.0, gt=0)
    """The score from which on there is an alarm."""
    least: float = Field(50.0, ge=0)
    """Packets a window above the usual without which there is no alarm."""
    hold: Duration = "15s"
    """An alarm has ended when no window was odd for so long."""
    warmup: int = Field(30, gt=0)
    """Windows until a destination is known."""
    memory: Duration = "10m"
    """Half of what is usual was learnt in the last so long."""
    relearn: Duration = "1h"
    """An alarm open for so long ends, and what it saw becomes usual."""
    max_keys: int = Field(100_000, gt=3)
    """So many destinations are followed."""
    lateness: Duration = "0s"
    """How late a window may be; later ones go to `late`."""

    def flow(self, *inputs: Flow) -> Flow:
        given = inputs[0]
        given.event_time()
        need(given.schema, self.by)
        if given.schema[self.by] != pl.String:
            raise SchemaError(f"{self.by!r} is {given.schema[self.by]}, a destination is text")
        for name in ADDED:
            if name in given.schema:
                raise SchemaError(f"there is a column {name!r} already", hint="rename it before")
        for name in COUNTS:
            if name in given.schema and not given.schema[name].is_numeric():
                raise SchemaError(f"{name!r} is {given.schema[name]}, a count is a number")
        return Flow(pl.Schema({**given.schema, **ADDED}), given.time)

    def side_flows(self, *inputs: Flow) -> dict[str, Flow]:
        return {"alarms": Flow(ALARM, EventTime("at", shift=-1)), "late": inputs[0]}

    def lateness_allowed(self) -> Micros | None:
        return micros(self.lateness)

    def delay(self) -> Micros:
        return micros(self.lateness)

    def open(self, state: State, *inputs: Flow) -> Kernel:
        return _AttackScore(self, state, inputs[0])


class _AttackScore(Kernel):
    def __init__(self, step: AttackScore, state: State, given: Flow) -> None:
        self._by, self._time = step.by, given.event_time()
        self._waiting = Waiting(self._time, micros(step.lateness), state)
        settings = Settings(
            step.threshold, step.least, micros(step.hold), step.warmup, micros(step.memory),
            micros(step.relearn), step.max_keys,
        )  # fmt: skip
        self._watch = Watch(settings, step.by, self._time, state)
        self.released = 0

    def held(self) -> int:
        return self._waiting.held

    def on_batch(self, rows: pl.DataFrame, port: int = 0) -> Emission:  # noqa: ARG002
        return self._waiting.receive(rows, [self._by])

    def on_watermark(self, watermark: Micros) -> Emission:
        is_over = watermark >= FOREVER
        until = self._waiting.passed(watermark)
        rows = self._waiting.take(until)
        if rows is not None:
            self.released += rows.height
            yield self._watch.see(rows)
        alarms = self._watch.said(FOREVER if is_over else until)
        if alarms.height:
            yield Routed("alarms", alarms)
