"""Say when something begins, gets worse and is over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

import polars as pl
from pydantic import Field, model_validator

from pydatastream.core.batch import Emission
from pydatastream.core.described import Described
from pydatastream.core.errors import SchemaError
from pydatastream.core.operator import EventTime, Flow, Kernel, Names, Operator
from pydatastream.core.state import State
from pydatastream.core.times import EVENT_TIME, Duration, Micros, micros
from pydatastream.core.types import need
from pydatastream.parts.alerts.runs import GRADE, ON, SILENT, TIME, VALUE, Event, Following, Rules
from pydatastream.parts.alerts.template import Template
from pydatastream.parts.sql.expressions import Sql, columns_of, condition, expression
from pydatastream.parts.windows.keyed import Nulls
from pydatastream.parts.windows.waiting import Waiting

Types = dict[str, pl.DataType]
FIRST: Types = {"alert": pl.String(), "state": pl.String(), "time": EVENT_TIME}
THEN: Types = {
    "start": EVENT_TIME,
    "last": EVENT_TIME,
    "severity": pl.String(),
    "peak": pl.Float64(),
}
MESSAGE: Types = {"message": pl.String()}
RUN = ("__begin", "__last", "__raised", "__grade", "__peak", "__ready")
RUN_TYPES = (pl.Int64(), pl.Int64(), pl.Boolean(), pl.Int64(), pl.Float64(), pl.Int64())


class Silence(Described):
    """Rows for which nothing is raised: those that meet all that is given."""

    when: Sql | None = None
    """A condition, as SQL text."""
    start: datetime | None = None
    """From this moment of event time on; UTC unless it says otherwise."""
    end: datetime | None = None
    """Until just before this moment."""

    def holds(self, schema: pl.Schema, moment: pl.Expr) -> pl.Expr:
        """Whether a row is silenced."""
        holds = pl.lit(True) if self.when is None else condition(self.when, schema)
        if self.start is not None:
            holds &= moment >= _moment(self.start)
        if self.end is not None:
            holds &= moment < _moment(self.end)
        return holds.fill_null(False)


class Alert(Operator):
    """Turn rows into alerts: one row when something begins, gets worse, or is over.

    While `when` holds for a key, in the order of event time, its rows are one run. A run is raised
    once it has lasted `for`, and not again while it goes on. It ends with the first row for which
    `until` holds (without it: for which `when` does not), or after a silence of `expire`; between
    the two conditions all stays as it is. An alert still open when the stream ends is not resolved.

    Gives the columns `by`, `alert`, `state` (raised, escalated, resolved), `time`, `start`, `last`
    (row of the run so far), `severity`, `peak`, the columns of `evidence` as they stood at the
    peak, and `message`. Rows older than the watermark by more than `lateness` go to `late`.
    State: a row per key that is in a run or cools down.
    """

    primary: ClassVar[str | None] = "when"
    ports: ClassVar[tuple[str, ...]] = ("late",)
    aggregates: ClassVar[bool] = True
    example: ClassVar[str] = (
        "- alert: {when: temperature > 30, until: temperature < 25, by: [device_id], for: 10s, "
        'value: temperature, message: "{device_id}: up to {peak:.1f}"}'
    )

    when: Sql
    """The condition that begins an alert, as SQL text."""
    until: Sql | None = None
    """The condition that ends it (hysteresis); without it, when `when` no longer holds."""
    by: Names = Field(default_factory=list)
    """Columns that make the key; without any, all rows together."""
    lasting: Duration = Field("0s", alias="for")
    """How long the condition must have held before the alert is raised."""
    cool_down: Duration = "0s"
    """How long after the end of an alert no other of its key is raised."""
    expire: Duration | None = None
    """A key from which no row has come for so long is no longer in alert."""
    severity: str | dict[str, Sql] = "warning"
    """A word; or words from mild to grave, each with its condition: the gravest that is true, at
    least the first. An alert that gets worse is told again, as escalated."""
    value: Sql | None = None
    """What `peak` is the greatest of."""
    evidence: Names = Field(default_factory=list)
    """Columns to show as they stood at the peak."""
    message: str = "{alert} {state}"
    """Text with `{column}` or `{column:.1f}` of the columns that come out; values are escaped."""
    title: str = "alert"
    """What stands in the column `alert`."""
    silences: list[Silence] = Field(default_factory=list)
    """When nothing is raised; what still goes on afterwards is raised then."""
    lateness: Duration = "0s"
    """How much older than the watermark a row may be."""
    nulls: Nulls = "refuse"
    """Rows with null in a key: refuse them (they become dead letters) or keep them."""

    @model_validator(mode="after")
    def _words(self) -> Self:
        if not self.severity:
            raise ValueError("`severity` is a word, or words with their conditions")
        Template.of(self.message)
        return self

    def flow(self, *inputs: Flow) -> Flow:
        given = inputs[0]
        given.event_time()
        need(given.schema, *self.by, *self.evidence)
        self.rows_of(given)
        columns = [*self.by, *FIRST, *THEN, *self.evidence, *MESSAGE]
        for name in {name for name in columns if columns.count(name) > 1}:
            raise SchemaError(f"two columns would be called {name!r}", hint="rename the one before")
        schema = pl.Schema(
            self._of(given, self.by) | FIRST | THEN | self._of(given, self.evidence) | MESSAGE
        )
        Template.of(self.message).need(schema.names()[:-1])
        return Flow(schema, EventTime("time"))

    def _of(self, given: Flow, names: list[str]) -> Types:
        return {name: given.schema[name] for name in names}

    def reads(self, needed: frozenset[str] | None) -> frozenset[str] | None:  # noqa: ARG002
        texts = [self.when, self.until, self.value, *(one.when for one in self.silences)]
        texts += self.severity.values() if isinstance(self.severity, Mapping) else ()
        used = (columns_of(text) for text in texts if text is not None)
        return frozenset(self.by).union(self.evidence, *used)

    def lateness_allowed(self) -> Micros | None:
        return micros(self.lateness)

    def delay(self) -> Micros:
        return micros(self.lateness)

    def rows_of(self, given: Flow) -> list[pl.Expr]:
        """The columns that the rules look at."""
        schema, time = given.schema, given.event_time()
        when = condition(self.when, schema).fill_null(False)
        off = ~when if self.until is None else condition(self.until, schema).fill_null(False)
        value = None if self.value is None else expression(self.value, schema)
        if value is not None and not value.dtype.is_numeric():
            raise SchemaError(f"`value` must be a number, {self.value} is {value.dtype}")
        peak = pl.lit(None) if value is None else value.expr
        silent = [one.holds(schema, time.expr()) for one in self.silences]
        return [
            time.micros().alias(TIME),
            pl.when(when).then(True).when(off).then(False).alias(ON),
            peak.cast(pl.Float64).fill_nan(None).alias(VALUE),
            self._grade(schema).alias(GRADE),
            pl.any_horizontal(*silent, pl.lit(False)).alias(SILENT),
        ]

    def _grade(self, schema: pl.Schema) -> pl.Expr:
        grade = pl.lit(0)
        texts = self.severity.values() if isinstance(self.severity, Mapping) else ()
        for number, text in enumerate(texts):
            grade = pl.when(condition(text, schema)).then(number).otherwise(grade)
        return grade.cast(pl.Int64)

    def open(self, state: State, *inputs: Flow) -> Kernel:
        given = inputs[0]
        rules = Rules(
            micros(self.lasting),
            micros(self.cool_down),
            None if self.expire is None else micros(self.expire),
        )
        run = dict(zip(RUN, RUN_TYPES, strict=True))
        kinds = self._of(given, self.by) | run | self._of(given, self.evidence)
        return AlertKernel(
            Told(self, self.flow(given).schema),
            self.rows_of(given),
            Following(rules, tuple(self.by), pl.Schema(kinds), state),
            Waiting(given.event_time(), micros(self.lateness), state),
            self.by if self.nulls == "refuse" else [],
        )


@dataclass(slots=True)
class Told:
    """Events as rows."""

    step: Alert
    schema: pl.Schema

    def rows(self, events: Iterator[Event]) -> pl.DataFrame:
        """In the order of time, then of the key."""
        names = self.schema.names()
        found = pl.DataFrame(
            [self._values(event) for event in events], schema=self._plain(), orient="row"
        ).cast(dict.fromkeys(("time", "start", "last"), EVENT_TIME))
        found = found.sort("time", *self.step.by, maintain_order=True)
        template = Template.of(self.step.message)
        messages = [template.filled(row) for row in found.iter_rows(named=True)]
        return found.with_columns(pl.Series("message", messages, pl.String)).select(names)

    def _plain(self) -> Types:
        times: Types = dict.fromkeys(("time", "start", "last"), pl.Int64())
        return {name: times.get(name, kind) for name, kind in list(self.schema.items())[:-1]}

    def _values(self, event: Event) -> tuple[Any, ...]:
        words = self.step.severity
        severity = words if isinstance(words, str) else list(words)[event.grade]
        first = (*event.key, self.step.title, event.state, event.time)
        return (*first, event.begin, event.last, severity, event.peak, *event.shown)


@dataclass(slots=True)
class AlertKernel(Kernel):
    """Rows wait until they are in order, then the runs go on with them."""

    told: Told
    seen: list[pl.Expr]
    following: Following
    waiting: Waiting
    required: list[str]
    released: int = 0

    def held(self) -> int:
        return self.waiting.held

    def on_batch(self, rows: pl.DataFrame, port: int = 0) -> Emission:  # noqa: ARG002
        return self.waiting.receive(rows, self.required)

    def on_watermark(self, watermark: Micros) -> Emission:
        until = self.waiting.passed(watermark)
        rows = self.waiting.take(until)
        self.released += rows.height if rows is not None else 0
        seen = None if rows is None else rows.with_columns(self.seen)
        events = self.told.rows(self.following.events(seen, until))
        if events.height:
            yield events


def _moment(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
