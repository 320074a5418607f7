"""Dead letters through the pipeline as it is now.

What a source could not read is decoded again by that source; a row that a step or an output
refused goes into that step again, not into those before it. A replay is a run of its own, with a
checkpoint of its own: it neither sees nor changes the state of the pipeline. Its windows hold
the replayed rows only, and no row is late. Files go beside those of the pipeline, to
`<output>-replay/<time>/`; rows for other outputs go where the pipeline's go. Interrupted
anywhere, the next replay goes on with it, and sinks that can promise exactly once keep it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from pydatastream.catalog import catalog
from pydatastream.cli.letters import Letters, Replay, read
from pydatastream.cli.redecoding import Replayed, decoded, sorted_in_time
from pydatastream.core.format import Decoded, StreamFormat
from pydatastream.core.plan import Plan, SourceNode, Step
from pydatastream.core.sink import Sink
from pydatastream.engines import local
from pydatastream.planning.letter_folder import LetterFolder


@dataclass(frozen=True, slots=True)
class Result:
    """What one replay has done."""

    letters: int
    """Replayed."""
    kept: int
    """Left as they are."""
    again: int
    """Failed again."""
    rows_out: int
    outputs: tuple[str, ...]
    """Where files were written."""


def replay(plan: Plan, letters: Letters, step: str | None = None) -> Iterator[Result]:
    """Finish what was interrupted, then replay what waits; `step` chooses one step's letters."""
    begun = [one for one in letters.replays() if not one.done]
    free = [file for file in letters.files() if file.parent.parent not in [r.path for r in begun]]
    for one in begun:
        yield _finished(plan, one)
    files = [file for file in free if _chosen(plan, read([file]), step).height]
    if files:
        new = letters.new_replay()
        new.choose(step)
        new.take(files)
        yield _finished(plan, new)


def _chosen(plan: Plan, letters: pl.DataFrame, step: str | None) -> pl.DataFrame:
    """The letters that can go in again: those of a node that the plan has."""
    nodes = [node.name for nodes in (plan.sources, plan.steps, plan.outputs) for node in nodes]
    known = [name for name in nodes if step in (None, name)]
    return letters.filter(pl.col("step").is_in(known))


def _finished(plan: Plan, one: Replay) -> Result:
    letters = read(sorted((one.path / "taken").glob("*")))
    chosen = _chosen(plan, letters, one.step)
    one.keep(letters.join(chosen, on=letters.columns, how="anti", nulls_equal=True))
    again = _with_letters(plan, chosen, one.path.name)
    settings = local.Settings(
        checkpoint=one.path / "checkpoint",
        dead_letters=LetterFolder(files=_files(f"{one.path / 'again'}/")),
    )
    report = local.Run(again, settings).run()
    one.end()
    places = tuple(str(path) for output in again.outputs if (path := _path(output.sink)))
    kept = letters.height - chosen.height
    return Result(chosen.height, kept, report.dead, report.rows_out, places)


def _with_letters(plan: Plan, letters: pl.DataFrame, name: str) -> Plan:
    """The plan with letters in place of its sources, and beside the steps that refused them."""
    of = {str(one): letters.filter(pl.col("step") == one) for one in letters["step"].unique()}
    taken = {step.name: step.inputs[0] for step in plan.steps}
    taken |= {output.name: output.input for output in plan.outputs}
    entries = [_Entry.of(plan, node, ref, of[node]) for node, ref in taken.items() if node in of]
    joined = {entry.node: entry.joined for entry in entries}
    sources = [_source(node, of.get(node.name, letters.clear())) for node in plan.sources]
    outputs = [
        replace(one, input=_ref(joined, one.name, one.input), sink=_beside(one.sink, name))
        for one in plan.outputs
    ]
    return Plan(
        f"{plan.name}-replay-{name}",
        (*sources, *(entry.source for entry in entries)),
        tuple(_steps(plan, joined)),
        tuple(outputs),
    )


def _steps(plan: Plan, joined: Mapping[str, Step]) -> Iterator[Step]:
    for step in plan.steps:
        if step.name in joined:
            yield joined[step.name]
        first, *others = step.inputs
        yield replace(step, inputs=(_ref(joined, step.name, first), *others))
    yield from (joined[one.name] for one in plan.outputs if one.name in joined)


def _ref(joined: Mapping[str, Step], node: str, ref: str) -> str:
    return joined[node].name if node in joined else ref


@dataclass(frozen=True, slots=True)
class _Entry:
    """Rows that a node refused, on their way into it again."""

    node: str
    source: SourceNode
    joined: Step

    @classmethod
    def of(cls, plan: Plan, node: str, ref: str, letters: pl.DataFrame) -> _Entry:
        flow = plan.flow_of(ref)
        decoder = _json().decoder(flow.schema)
        found = decoder.decode_messages([payload.encode() for payload in letters["payload"]])
        rows = sorted_in_time(found.rows, flow.time.column if flow.time else None)
        parts = Replayed(parts={node: Decoded(rows, found.dead)})
        source = SourceNode(f"letters_{node}", parts, flow.schema, flow)
        union = catalog().find("operator", "union")()
        return cls(node, source, Step(f"with_letters_{node}", union, (ref, source.name), flow))


def _source(node: SourceNode, letters: pl.DataFrame) -> SourceNode:
    kept = ("required", "time", "time_unit", "max_skew", "idle_timeout")
    options = {name: getattr(node.source, name) for name in kept}
    return replace(node, source=Replayed(parts=decoded(node, letters), **options))


def _files(path: str) -> Sink:
    return catalog().find("sink", "file").model_validate({"path": path, "format": _json()})


def _json() -> StreamFormat:
    form: StreamFormat = catalog().find("format", "json")()  # type: ignore[assignment]
    return form


def _beside(sink: Sink, name: str) -> Sink:
    """The sink, or for files one that writes to a folder of this replay beside it."""
    path = _path(sink)
    if path is None:
        return sink
    base = Path(path.rstrip("/"))
    base = base.with_name(base.name.split(".")[0] or base.name)
    return sink.model_copy(update={"path": f"{base}-replay/{name}/"})


def _path(sink: Sink) -> str | None:
    is_file = isinstance(sink, catalog().find("sink", "file"))
    return str(sink.path) if is_file else None  # type: ignore[attr-defined]


def position_text(position: str) -> str:
    """The position of a letter in a few words."""
    try:
        found = json.loads(position)
    except ValueError:
        return position
    if "source" not in found:
        return " ".join(f"{key} {value}" for key, value in found.items())
    return f"{found['source']} {' or '.join(map(_place_text, found.get('any_of', [found])))}"


def _place_text(place: Mapping[str, Any]) -> str:
    after = place.get("after")
    told = ", ".join(f"{key} {value}" for key, value in after.items()) if after else "the start"
    return f"{place.get('partition')}, after {told}"
