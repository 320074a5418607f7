"""Given rows through the real steps, with event time and lateness, and without any I/O."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, ClassVar

import orjson
import polars as pl
from pydantic import Field

from pydatastream import planning
from pydatastream.catalog import catalog
from pydatastream.config.declaration import Declaration, Declared, names_of
from pydatastream.core.batch import Batch
from pydatastream.core.dead import LETTER_SCHEMA
from pydatastream.core.errors import ConfigError, SchemaError, nearest
from pydatastream.core.plan import Plan, SourceNode
from pydatastream.core.source import Source
from pydatastream.core.times import Micros
from pydatastream.engines.local.dead_letters import Graveyard
from pydatastream.engines.local.events import Arrived, Done, Opened, Slice, Tick
from pydatastream.engines.local.execution import Executor
from pydatastream.engines.local.ingest import Ingest
from pydatastream.engines.local.ledger import Ledger
from pydatastream.engines.local.reading import wall_clock
from pydatastream.engines.local.watermarks import Watermarks
from pydatastream.engines.local.work import Work
from pydatastream.parts.decoding.inference import schema_of
from pydatastream.pipeline import Pipeline
from pydatastream.testing.cases import LATE, Case, Row, Watermark, moment

PARTITION = "given"
HEARD = "__late_"
"""Before the name of a step: the output that this module adds to hear its late rows."""

PER_MICRO = {"s": 1e-6, "ms": 1e-3, "us": 1, "ns": 1000}


class Given(Source):
    """A source of which only the columns and their meaning are left."""

    replayable: ClassVar[bool] = True

    known: Any = Field(exclude=True)
    """The columns and their types."""

    @property
    def bounded(self) -> bool:
        """The rows of a test end."""
        return True

    def declared(self) -> pl.Schema:
        """The columns."""
        return pl.Schema(self.known)


@dataclass(frozen=True, slots=True)
class Ran:
    """What came out."""

    outputs: Mapping[str, pl.DataFrame]
    late: pl.DataFrame
    unheard: pl.DataFrame
    """Late rows that the pipeline itself takes nowhere."""
    dead: pl.DataFrame
    """Dead letters: step, error, payload, and the columns of the payload."""


def given_schemas(pipeline: Pipeline, cases: Sequence[Case]) -> dict[str, pl.Schema]:
    """The columns of each source: declared, or else told by the rows that tests give."""
    sources = pipeline.declaration.sources
    found = {}
    for name, declared in zip(names_of(sources, "source"), sources, strict=True):
        rows = [row for case in cases for row in case.rows(name)]
        known = declared.component.declared()
        found[name] = known or (_told(declared.component, rows) if rows else None)
        if found[name] is None:
            raise SchemaError(
                f"the columns of source {name} are not known: no test gives a row",
                where=pipeline.declaration.where,
                hint="declare `schema:` at the source",
            )
    return found  # type: ignore[return-value]


def _told(source: Source, rows: Sequence[Row]) -> pl.Schema:
    """The columns that rows tell; a time with a unit is a number, however a test writes it."""
    schema = schema_of(rows)
    if source.time is not None and source.time_unit is not None and source.time in schema:
        schema[source.time] = pl.Int64()
    return schema


def replayed(
    pipeline: Pipeline, case: Case, schemas: Mapping[str, pl.Schema], *, python: bool = True
) -> Ran:
    """Push the rows of a test through the steps; at the end every window closes."""
    declaration = _offline(pipeline.declaration, schemas)
    bare = planning.plan(declaration, offline=True, python=python)
    steps = [step.name for step in bare.steps if LATE in step.sides]
    heard = dataclasses.replace(declaration, outputs=(*declaration.outputs, *map(_ear, steps)))
    plan = planning.plan(heard, offline=True, python=python) if steps else bare
    taken = {output.input for output in bare.outputs}
    taken |= {ref for step in bare.steps for ref in step.inputs}
    unheard = [name for name in steps if f"{name}.{LATE}" not in taken]
    return _Rehearsal(plan, case).ran(steps, unheard)


def _offline(declaration: Declaration, schemas: Mapping[str, pl.Schema]) -> Declaration:
    """The pipeline with sources that have no more than columns."""
    named = zip(names_of(declaration.sources, "source"), declaration.sources, strict=True)
    sources = tuple(
        dataclasses.replace(one, name=name, component=_given(one.component, schemas[name]))
        for name, one in named
    )
    late = declaration.late if not declaration.outputs else None
    return dataclasses.replace(declaration, sources=sources, late=late)


def _given(source: Source, schema: pl.Schema) -> Source:
    kept = ("required", "time", "time_unit", "max_skew", "idle_timeout")
    return Given(known=dict(schema), **{name: getattr(source, name) for name in kept})


def _ear(step: str) -> Declared[Any]:
    null = catalog().find("sink", "null")()
    return Declared(null, f"{HEARD}{step}", (f"{step}.{LATE}",))


class _Rehearsal:
    """One test at work."""

    def __init__(self, plan: Plan, case: Case) -> None:
        self._plan, self._case = plan, case
        self._frames: dict[str, list[pl.DataFrame]] = {one.name: [] for one in plan.outputs}
        self._letters: list[pl.DataFrame] = []
        ledger, clocks = Ledger(), {node.name: Watermarks() for node in plan.sources}
        graveyard = Graveyard("dead_letter", plan.fingerprint(), self._letters.append)
        marks = {name: clock.watermark for name, clock in clocks.items()}
        self._executor = Executor(plan, {}, self._emit, graveyard, ledger, marks)
        self._work = Work(plan, self._executor, graveyard, clocks, ledger)

    def ran(self, late: Sequence[str], unheard: Sequence[str]) -> Ran:
        for node in self._plan.sources:
            self._work.take(Opened(node.name, [PARTITION]))
        parts = [list(self._items(node)) for node in self._plan.sources]
        for items in zip_longest(*parts):
            for item in items:
                if item is not None:
                    self._work.take(item)
        for node in self._plan.sources:
            self._work.take(Done(node.name, PARTITION))
            self._work.take(Done(node.name, None))
        self._executor.check()
        outputs = {name: self._rows(name) for name in self._frames}
        return Ran(outputs, self._late(late), self._late(unheard), self._dead())

    def _emit(self, output: str, rows: pl.DataFrame) -> None:
        self._frames[output].append(rows)

    def _rows(self, output: str) -> pl.DataFrame:
        flow = next(one.flow for one in self._plan.outputs if one.name == output)
        return pl.concat([pl.DataFrame(schema=flow.schema), *self._frames[output]])

    def _late(self, steps: Sequence[str]) -> pl.DataFrame:
        frames = [self._rows(f"{HEARD}{step}") for step in steps]
        return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()

    def _dead(self) -> pl.DataFrame:
        letters = pl.concat([pl.DataFrame(schema=LETTER_SCHEMA), *self._letters])
        rows = [_unpacked(letter) for letter in letters.to_dicts()]
        return pl.from_dicts(rows, infer_schema_length=None) if rows else letters

    def _items(self, node: SourceNode) -> Iterator[list[Arrived] | Tick]:
        """What a source gives, in order: neighbouring rows come together."""
        rows: list[Row] = []
        at, clock = 0, 0
        for one in self._case.given.get(node.name, ()):
            if not isinstance(one, Watermark):
                rows.append(one)
                continue
            yield from self._arrived(node, rows, at, clock)
            yield Tick(node.name, [PARTITION], one.at)
            at, clock, rows = at + len(rows), one.at, []
        yield from self._arrived(node, rows, at, clock)

    def _arrived(
        self, node: SourceNode, rows: list[Row], at: int, clock: Micros
    ) -> Iterator[list[Arrived]]:
        if not rows:
            return
        now = clock if node.source.time == "processing" else wall_clock()
        decoder = catalog().find("format", "json")().decoder(node.reads)  # type: ignore[attr-defined]
        decoded = decoder.decode_messages([_message(node, row) for row in rows])
        end = {"n": at + len(rows)}
        taken = Ingest(node).take(Batch(decoded.rows, end, decoded.dead), now)
        piece = Slice(node.name, PARTITION, {"n": at}, end, now)
        yield [Arrived(piece, taken.rows, taken.dead, taken.greatest)]


def _message(node: SourceNode, row: Row) -> bytes:
    known = node.source.declared() or pl.Schema()
    for name in row:
        if name not in known:
            hint = nearest(str(name), known)
            raise ConfigError(f"source {node.name} has no column {name!r}", hint=hint)
    return orjson.dumps({name: _in_unit(node, name, value) for name, value in row.items()})


def _in_unit(node: SourceNode, name: str, value: Any) -> Any:
    """A time as text, in the unit of the source where that has numbers."""
    unit = node.source.time_unit
    if name != node.source.time or unit is None or not isinstance(value, str):
        return value
    return round(moment(value) * PER_MICRO[unit])


def _unpacked(letter: Mapping[str, Any]) -> dict[str, Any]:
    """A dead letter with the columns of its payload beside it, if that is a row."""
    try:
        row = orjson.loads(letter["payload"])
    except ValueError:
        row = None
    told = {name: letter[name] for name in ("step", "error", "payload")}
    return {**(row if isinstance(row, dict) else {}), **told}
