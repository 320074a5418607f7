"""Alarms: one per attack, from the window that raised it until it has been calm for a while."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from pydatastream.core.times import EVENT_TIME, Micros, utc_text
from pydatastream.parts.traffic.columns import NETWORK, TOP
from pydatastream.parts.traffic.kinds import KINDS
from pydatastream.parts.traffic.rules import attack_type

ALARM = pl.Schema(
    {
        "at": EVENT_TIME,
        "state": pl.String(),
        "alarm": pl.String(),
        "victim": pl.String(),
        "type": pl.String(),
        "start": EVENT_TIME,
        "last": EVENT_TIME,
        "raised": EVENT_TIME,
        "score": pl.Float64(),
        "peak": pl.Float64(),
        "packets": pl.Int64(),
        "bytes": pl.Int64(),
        "flows": pl.Int64(),
        "top_sources": pl.List(pl.String()),
        "top_port": pl.Int64(),
        "evidence": pl.String(),
    }
)
"""An alarm row. at: when this was said. state: raised, changed (its type), or ended. alarm: its
name, the same in all its rows. peak: packets per second in the worst window."""

KEPT = 50
"""So many sources of an alarm are kept in mind; the least of them makes room.

References: Metwally, Agrawal, El Abbadi (2005), Efficient Computation of Frequent and Top-k
Elements in Data Streams, ICDT, section 3 (Space-Saving).
"""

Memory = dict[str, Any]
"""An open alarm, as the state keeps it: JSON-able."""
Window = Mapping[str, Any]
"""One window: the features, and `end`, `score`, `excess` (by kind) and `slow`."""


def opened(victim: str, window: Window, start: Micros) -> Memory:
    """An alarm that this window raises; `start` is when it began to be odd."""
    memory: Memory = {
        "victim": victim, "start": start, "raised": window["end"], "last": window["end"],
        "score": 0.0, "peak": 0.0, "packets": 0, "bytes": 0, "flows": 0, "ecn": 0, "web": 0,
        "above": 0.0, "connected": 0.0,
        "windows": 0, "sources": 0, "new": 0.0, "entropy": 0.0, "usual": window["usual"],
        "slow": window["slow"], "excess": dict.fromkeys(KINDS, 0.0), "ports": {}, "top": {},
    }  # fmt: skip
    more(memory, window)
    return {**memory, "type": type_of(memory)}


def more(memory: Memory, window: Window) -> None:
    """Add a window to an open alarm."""
    for name in ("packets", "bytes", "flows", "ecn", "web"):
        memory[name] += window[name]
    for name in ("above", "connected"):
        memory[name] += window[name]
    memory["windows"] += 1
    memory["last"] = max(memory["last"], window["end"])
    memory["score"] = max(memory["score"], window["score"])
    memory["sources"] = max(memory["sources"], window["sources"])
    if window["rate"] >= memory["peak"]:
        memory["peak"] = window["rate"]
        memory["new"], memory["entropy"] = window["new_share"], window["source_entropy"]
    for kind, packets in window["excess"].items():
        memory["excess"][kind] += packets
    _count(memory["ports"], str(window["top_port"]), window["top_port_share"] * window["flows"])
    for name in window["top_sources"] or ():
        _count(memory["top"], name, 1)


def _count(counts: dict[str, float], name: str, by: float) -> None:
    """Space-Saving: a new name takes the place and the count of the least."""
    if name not in counts and len(counts) >= KEPT:
        least = min(counts, key=lambda one: (counts[one], one))
        by += counts.pop(least)
    counts[name] = counts.get(name, 0) + by


def type_of(memory: Memory) -> str:
    """What kind of attack it is, by all that was seen of it."""
    ports = {int(port): count for port, count in memory["ports"].items() if port != "None"}
    return attack_type(
        memory["excess"],
        ports,
        ecn=memory["ecn"],
        web=memory["web"],
        flows=memory["above"] / memory["windows"],
        packets_per_flow=memory["connected"] / max(memory["above"], 1.0),
        times_usual=memory["flows"] / (memory["windows"] * max(memory["usual"], 1.0)),
    )


def row(memory: Memory, state: str, at: Micros) -> tuple[Any, ...]:
    """The alarm as a row."""
    top = sorted(memory["top"], key=lambda name: (-memory["top"][name], name))[:TOP]
    ports = {port: count for port, count in memory["ports"].items() if port != "None"}
    port = max(ports, key=lambda one: (ports[one], one), default=None)
    name = f"{memory['victim']}/{utc_text(memory['raised'])}"
    return (
        at, state, name, memory["victim"], memory["type"], memory["start"], memory["last"],
        memory["raised"], memory["score"], memory["peak"], memory["packets"], memory["bytes"],
        memory["flows"], top, None if port is None else int(port), evidence(memory),
    )  # fmt: skip


def evidence(memory: Memory) -> str:
    """Why, in words."""
    excess = memory["excess"]
    kind = max(excess, key=lambda name: (excess[name], name))
    share = excess[kind] / max(sum(excess.values()), 1.0)
    rate, usual = memory["flows"] / memory["windows"], memory["usual"]
    where = "the network" if memory["victim"] == NETWORK else "it"
    return (
        f"{rate:,.0f} flows a window where {usual:,.0f} are usual for {where}; "
        f"{share:.0%} of what is more is {kind}; up to {memory['sources']:,} sources, "
        f"{memory['new']:.0%} of them new, entropy {memory['entropy']:.2f}"
        + ("; grown slowly" if memory["slow"] else "")
    )


def frame(rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    """Alarm rows as a frame."""
    physical = {name: pl.Int64 if of == EVENT_TIME else of for name, of in ALARM.items()}
    return pl.DataFrame(list(rows), schema=physical, orient="row").cast(ALARM)
