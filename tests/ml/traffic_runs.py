"""Traffic through our steps, and what came out."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import polars as pl

from pydatastream.connectors.memory import MemorySink, MemorySource
from pydatastream.core.flow import EventTime, Flow
from pydatastream.core.state import State
from pydatastream.core.times import EVENT_TIME, FOREVER
from pydatastream.ml.attack_score import AttackScore
from pydatastream.ml.flow_features import FlowFeatures
from pydatastream.pipeline import Pipeline

START = 1_709_280_000
VICTIM = "192.0.2.10"

TYPES = {
    "timestamp": EVENT_TIME, "source_ip": pl.String, "dest_ip": pl.String, "protocol": pl.String,
    "source_port": pl.Int64, "dest_port": pl.Int64, "packets": pl.Int64, "bytes": pl.Int64,
    "tcp_flags": pl.Int64, "is_attack": pl.Int64,
}  # fmt: skip


def flow(second, source="198.51.100.7", dest=VICTIM, **others):
    """One record, so many seconds after the start."""
    usual = {"protocol": "tcp", "source_port": 40000, "dest_port": 443, "packets": 1,
             "bytes": 60, "tcp_flags": 27, "is_attack": 0}  # fmt: skip
    at = datetime.fromtimestamp(START + second, UTC)
    return {"timestamp": at, "source_ip": source, "dest_ip": dest, **usual, **others}


def records(*rows, **types):
    return pl.DataFrame(rows, schema={**TYPES, **types})


def calm(seconds, each=8):
    """A server at work."""
    return [
        flow(second + n / each, source=f"198.51.100.{(second * 7 + n * 13) % 90}", packets=5 + n)
        for second in range(seconds)
        for n in range(each)
    ]


def flood(second, seconds=5, each=400, **others):
    """Many who ask for connections they do not want."""
    return [
        flow(second + s + n / each, source=f"10.{s}.{n // 250}.{n % 250}", tcp_flags=2, **others)
        for s in range(seconds)
        for n in range(each)
    ]


def timed(rows, unit="s"):
    return MemorySource(rows=rows, time="timestamp", time_unit=unit, max_skew="off")


def found(rows, features=None, **options):
    """Windows, alarms, late records and dead letters of a whole pipeline."""
    sinks = {name: MemorySink() for name in ("windows", "alarms", "late", "dead")}
    unit = None if rows.schema["timestamp"] == EVENT_TIME else "s"
    source = MemorySource(rows=rows, time="timestamp", time_unit=unit, max_skew="off")
    pipeline = Pipeline("t").source(source).flow_features(**(features or {}))
    pipeline = pipeline.attack_score(**options).to(sinks["windows"], input="attack_score")
    pipeline = pipeline.to(sinks["alarms"], input="attack_score.alarms")
    pipeline = pipeline.to(sinks["late"], input="flow_features.late")
    pipeline.on_error("dead_letter", sinks["dead"]).run()
    return {name: sink.frame() for name, sink in sinks.items()}


def in_pieces(rows, sizes, **options):
    """The same without an engine: cut anywhere, each time with a state that was saved."""
    steps = FlowFeatures(), AttackScore(**options)
    flows = [Flow(rows.schema, EventTime("timestamp"))]
    flows.append(steps[0].flow(flows[0]))
    states, out = [State(), State()], {"windows": [], "alarms": []}
    edges = [0, *[sum(sizes[: n + 1]) for n in range(len(sizes))], rows.height]
    for first, end in pairwise(edges):
        part = rows[first:end]
        if part.height:
            mark = int(part["timestamp"].to_physical().max())
            states = [State(one.snapshot()) for one in states]
            _push(steps, states, flows, part, mark, out)
    _push(steps, states, flows, rows[:0], FOREVER, out)
    return {name: pl.concat(frames) for name, frames in out.items()}


def _push(steps, states, flows, rows, mark, out):
    one, two = (step.open(state, of) for step, state, of in zip(steps, states, flows, strict=True))
    made = [*one.on_batch(rows), *one.on_watermark(mark)]
    for windows in made:
        list(two.on_batch(windows))
    for told in two.on_watermark(mark):
        out["windows" if isinstance(told, pl.DataFrame) else told.port].append(
            told if isinstance(told, pl.DataFrame) else told.rows
        )
