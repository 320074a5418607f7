"""A chain of steps, planned and run as in production, but for its sources and sinks."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event as Flag
from typing import Any

import polars as pl
from contract_streams import NOW, TYPES, Script

from pydatastream import planning
from pydatastream.catalog import catalog
from pydatastream.checkpoints import Checkpoint, Saved
from pydatastream.config import yaml_nodes
from pydatastream.config.declaration import Declaration, Declared
from pydatastream.config.loading import loads
from pydatastream.core.plan import Plan
from pydatastream.core.source import Read
from pydatastream.engines.local.dead_letters import Graveyard
from pydatastream.engines.local.events import (
    Arrived,
    Done,
    Event,
    Opened,
    Slice,
    from_json,
    to_json,
)
from pydatastream.engines.local.execution import Executor
from pydatastream.engines.local.ledger import Ledger
from pydatastream.engines.local.rereading import read_again
from pydatastream.engines.local.spool import opener
from pydatastream.engines.local.watermarks import Watermarks
from pydatastream.engines.local.work import Work

FOLDER = Path(__file__).parent / "folder"
"""What examples may name: files of data, and functions."""

NAMES = ("one", "two", "three", "four", "five")
"""What sources are called."""

NOTHING = Saved(0, {}, {}, {}, None, 0)
DEAD = "dead letters"


def step_of(example: str) -> dict[str, Any]:
    """The one list item that an operator's example is."""
    (item,) = items_of(example)
    return item


def items_of(text: str) -> list[dict[str, Any]]:
    """The steps in a YAML list, read as a pipeline file is (`on` is a word there)."""
    items = yaml_nodes.read(text, "example").plain()
    return [{item: None} if isinstance(item, str) else item for item in items]


def options_of(example: str) -> dict[str, Any]:
    """The options in the example of a source, sink or format."""
    found: dict[str, Any] = yaml_nodes.read(example, "example").plain()
    return {name: value for name, value in found.items() if name != "type"}


def inputs_of(item: Mapping[str, Any]) -> int:
    """How many inputs a step of this kind is given."""
    (word,) = item
    wanted = catalog().find("operator", word).inputs
    return 2 if wanted is None else wanted


def planned(items: Sequence[Mapping[str, Any]]) -> Plan:
    """The plan of steps one after the other, all their outputs taken; `ConfigError` if not.

    Sources are called one, two, ...: the first step takes as many as it has inputs; a later one
    with several takes the step before, and sources of their own.
    """
    names, steps, before = iter(NAMES), list[dict[str, Any]](), list[str]()
    for number, item in enumerate(items):
        before += [next(names) for _ in range(inputs_of(item) - len(before))]
        steps.append({"name": f"step{number}", **item, "inputs": before})
        before = [f"step{number}"]
    sources = [name for step in steps for name in step["inputs"] if not name.startswith("step")]
    source = {"type": "memory", "rows": [], "time": "ts", "schema": TYPES}
    output = {"last": {"type": "null", "input": before[0]}}
    text = {
        "name": "contract",
        "functions": ["my_steps.py"],
        "sources": {name: {**source} for name in sources},
        "processor": steps,
        "outputs": output,
    }
    declared = loads(json.dumps(text), folder=FOLDER, environment={})
    return planning.plan(_with_sides(declared))


def _with_sides(declared: Declaration) -> Declaration:
    """All ports of the steps go to an output of their own."""
    plan = planning.plan(declared)
    refs = [f"{step.name}.{port}" for step in plan.steps for port in step.sides]
    sink = declared.outputs[0].component
    sides = tuple(Declared(sink, ref.replace(".", "_"), (ref,)) for ref in refs)
    return dataclasses.replace(declared, outputs=(*declared.outputs, *sides))


@dataclass
class Ran:
    """What came out, by output, in order; dead letters under DEAD."""

    frames: dict[str, pl.DataFrame]
    filtered: int = 0

    def __getitem__(self, name: str) -> pl.DataFrame:
        return self.frames[name]


class Bench:
    """One plan at work on one script."""

    def __init__(self, plan: Plan, script: Script, store: Path | None = None) -> None:
        sources = tuple(
            dataclasses.replace(node, source=_with_rows(node.source, script.frames[node.name]))
            for node in plan.sources
        )
        self.plan = dataclasses.replace(plan, sources=sources)
        self._script, self._store = script, store
        self._out: dict[str, list[pl.DataFrame]] = defaultdict(list)
        self._flows = {output.name: output.flow.schema for output in plan.outputs}
        self._epoch = 0
        self._over: list[Event] = []
        self._open(NOTHING)

    def run(self, crashes: Iterable[int] = (), *, check: bool = True) -> Ran:
        """What comes out; the process dies, and begins again, after these events."""
        deaths = set(crashes)
        for number, events in enumerate(self._script.steps()):
            self._happen(events)
            if number in deaths:
                self._die()
        if check:
            self._executor.check()
        frames = {name: self._whole(name, schema) for name, schema in self._flows.items()}
        dead = self._out.get(DEAD)
        letters = pl.concat(dead) if dead else pl.DataFrame(schema=_LETTER)
        return Ran({**frames, DEAD: letters})

    def _happen(self, events: list[Event]) -> None:
        # Through JSON, as an epoch's record is: what is replayed is what was written.
        events = [from_json(json.loads(json.dumps(to_json(event)))) for event in events]
        if isinstance(events[0], Slice):
            self._take([self._read(event) for event in events])
            return
        (event,) = events
        if isinstance(event, Done):
            self._over.append(event)
        self._work.take(event)

    def _read(self, piece: Slice) -> Arrived:
        node = next(node for node in self.plan.sources if node.name == piece.source)
        return read_again(node, piece, Read(node.reads), opener(None), Flag())

    def _take(self, items: list[Arrived]) -> None:
        before = [one.rows.clone() for one in items]
        self._work.take(items)
        unchanged = (rows.equals(one.rows) for rows, one in zip(before, items, strict=True))
        assert all(unchanged), "a step has changed its input"

    def _die(self) -> None:
        """Commit an epoch, forget everything, and go on from the disk."""
        self._executor.check()
        self._epoch += 1
        assert self._store is not None
        store = Checkpoint(self._store, "contract")
        store.load()
        epoch = self._work.end_epoch(self._epoch)
        store.intend(epoch)
        store.commit(epoch)
        store.close()
        again = Checkpoint(self._store, "contract")
        saved = again.load()
        again.close()
        self._open(saved)
        for node in self.plan.sources:
            self._work.take(Opened(node.name, list(self._script.frames[node.name])))
        for event in self._over:
            self._work.take(event)

    def _open(self, saved: Saved) -> None:
        ledger = Ledger()
        graveyard = Graveyard("dead_letter", self.plan.fingerprint(), self._bury)
        clocks = {n.name: Watermarks(saved.clocks.get(n.name)) for n in self.plan.sources}
        marks = {name: clock.watermark for name, clock in clocks.items()}
        self._executor = Executor(self.plan, saved.states, self._emit, graveyard, ledger, marks)
        self._work = Work(self.plan, self._executor, graveyard, clocks, ledger)

    def _emit(self, output: str, rows: pl.DataFrame) -> None:
        assert rows.schema == self._flows[output], f"{output} is not as it was planned"
        self._out[output].append(rows)

    def _bury(self, letters: pl.DataFrame) -> None:
        assert (letters["at"].to_physical() == NOW).all()
        self._out[DEAD].append(letters.select(list(_LETTER)))

    def _whole(self, name: str, schema: pl.Schema) -> pl.DataFrame:
        return pl.concat([pl.DataFrame(schema=schema), *self._out[name]])


_LETTER = {"step": pl.String, "payload": pl.String, "encoding": pl.String, "error": pl.String}
"""Of a dead letter, what does not say where it stood in a batch."""


def _with_rows(source: Any, frames: Mapping[str, pl.DataFrame]) -> Any:
    return source.model_copy(update={"rows": dict(frames)})


def run(plan: Plan, script: Script, crashes: Iterable[int] = (), store: Path | None = None) -> Ran:
    """What a plan makes of a script."""
    return Bench(plan, script, store).run(crashes)


def differences(one: Ran, other: Ran) -> Iterator[str]:
    """Where two runs differ; floats may by 1e-9 of their size, or of 1 if they are smaller."""
    for name, rows in one.frames.items():
        left, right = _lines(name, rows), _lines(name, other[name])
        if len(left) != len(right):
            yield f"{name}: {len(left)} rows, and then {len(right)}: {rows}, {other[name]}"
        elif not all(map(_same, left, right)):
            yield f"{name}: {rows}, and then {other[name]}"


def _lines(name: str, rows: pl.DataFrame) -> list[tuple[Any, ...]]:
    """Rows in their order; dead letters in any, for a batch gives those of one kind together."""
    return sorted(rows.rows(), key=repr) if name == DEAD else rows.rows()


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        near = abs(one - other) <= 1e-9 * max(abs(one), abs(other), 1.0)
        return near or one == other or (one != one and other != other)
    return bool(one == other)
