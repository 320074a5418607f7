"""DDoS attacks in traffic: found, how soon, named rightly, and how many alarms were false."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from pydatastream.connectors.memory import MemorySink, MemorySource
from pydatastream.core.errors import ConfigError
from pydatastream.pipeline import Pipeline
from pydatastream.suites import Frames, Suite, table

TYPES = {
    "timestamp": pl.Float64, "source_ip": pl.String, "dest_ip": pl.String,
    "protocol": pl.String, "source_port": pl.Int64, "dest_port": pl.Int64,
    "packets": pl.Int64, "bytes": pl.Int64, "tcp_flags": pl.String,
    "is_attack": pl.Int64, "attack_type": pl.String,
}  # fmt: skip
GRACE = 5.0
"""Seconds after its end in which an alarm still belongs to an episode."""
QUIET = 60.0
"""Where only labels tell: attacks of one type so many seconds apart are two episodes."""
ONSET = 0.1
"""An episode begins in earnest in the first second with this part of its peak."""
ALARM = ("raised", "start", "last", "type", "victim", "peak")


@dataclass(frozen=True, slots=True)
class Episode:
    """One attack as it truly was, in seconds."""

    type: str
    start: float
    end: float
    onset: float
    victim: str | None = None

    def holds(self, alarm: Mapping[str, Any]) -> bool:
        """Whether an alarm is about it."""
        is_victim = self.victim is None or alarm["victim"] in (self.victim, "*")
        return is_victim and alarm["start"] <= self.end + GRACE and alarm["raised"] >= self.start


class Ddos(Suite):
    """Alarms on captures with labelled attacks; the library's own settings, of every file alike."""

    folder: ClassVar[str] = "ddos"
    peers: ClassVar[Mapping[str, str]] = {
        "FastNetMon, default thresholds": "2 of 5 on the development overlay",
        "EWMA of packets per destination": "5 of 5 on the development overlay",
    }

    def __init__(self) -> None:
        self._episodes: dict[str, list[Episode]] = {}

    def load(self, folder: Path) -> Frames:
        found = {}
        for file in sorted(folder.glob("*.csv*")):
            name = file.name.partition(".csv")[0]
            rows = table(file, schema_overrides=TYPES)
            found[name] = rows.select(
                pl.col(one).cast(TYPES[one]) for one in rows.columns if one in TYPES
            )
            told = folder / f"{name}.episodes.json"
            self._episodes[name] = list(_told(told) if told.exists() else labelled(rows))
        if not found:
            raise ConfigError(f"no CSV file in {folder}", hint="timestamp, source_ip, dest_ip, ...")
        return found

    def run(self, inputs: Frames) -> Frames:
        blind = pl.exclude("is_attack", "attack_type")
        return {name: alarms(rows.select(blind)) for name, rows in inputs.items()}

    def measure(self, inputs: Frames, outputs: Frames) -> Mapping[str, float]:
        hours = sum(_hours(rows) for rows in inputs.values())
        matched = [one for name, rows in outputs.items() for one in self._matched(name, rows)]
        found = [(episode, alarm) for episode, alarm in matched if alarm]
        delays = [alarm["raised"] - episode.onset for episode, alarm in found]
        false = sum(self._false(name, rows) for name, rows in outputs.items())
        return {
            "episodes found": len(found),
            "episodes": len(matched),
            "false alarms": false,
            "false alarms per hour": false / hours,
            "hours": hours,
            "median seconds from onset": statistics.median(delays) if delays else float("nan"),
            "worst seconds from onset": max(delays, default=float("nan")),
            "share of types right": sum(e.type == a["type"] for e, a in found) / max(len(found), 1),
        }

    def _matched(
        self, name: str, rows: pl.DataFrame
    ) -> Iterator[tuple[Episode, dict[str, Any] | None]]:
        for episode in self._episodes[name]:
            about = [alarm for alarm in rows.to_dicts() if episode.holds(alarm)]
            yield episode, min(about, key=lambda alarm: alarm["raised"], default=None)

    def _false(self, name: str, rows: pl.DataFrame) -> int:
        episodes = self._episodes[name]
        return sum(not any(one.holds(alarm) for one in episodes) for alarm in rows.to_dicts())


def alarms(rows: pl.DataFrame) -> pl.DataFrame:
    """The alarms that our detection raises on records of traffic."""
    source = MemorySource(rows=rows, time="timestamp", time_unit="s", max_skew="off")
    sink = MemorySink()
    pipeline = Pipeline("ddos").source(source).flow_features().attack_score()
    try:
        pipeline.to(sink, input="attack_score.alarms").run()
        said = sink.frame()
    finally:
        sink.forget()
    ended = said.filter(pl.col("state") == "ended").sort("raised", "victim")
    seconds = [pl.col(name).dt.epoch("us") / 1e6 for name in ("raised", "start", "last")]
    return ended.with_columns(seconds).select(ALARM)


def labelled(rows: pl.DataFrame) -> Iterator[Episode]:
    """Episodes as the labels of records tell them."""
    if "attack_type" not in rows.columns:
        return
    attacks = rows.filter(pl.col("is_attack") == 1).sort("timestamp")
    for (kind,), part in sorted(attacks.partition_by("attack_type", as_dict=True).items()):
        number = (pl.col("timestamp").diff() > QUIET).fill_null(False).cum_sum().alias("number")
        for one in part.with_columns(number).partition_by("number"):
            yield _episode(str(kind), one)


def _episode(kind: str, rows: pl.DataFrame) -> Episode:
    seconds = rows.group_by(pl.col("timestamp").floor()).agg(pl.len()).sort("timestamp")
    onset = seconds.filter(pl.col("len") >= ONSET * pl.col("len").max())["timestamp"][0]
    (victim,) = rows["dest_ip"].mode().sort().head(1)
    ends = (rows["timestamp"].min(), rows["timestamp"].max())
    return Episode(kind, *ends, onset, victim)  # type: ignore[arg-type]


def _told(file: Path) -> Iterator[Episode]:
    told = json.loads(file.read_text("utf-8"))
    for one in told["episodes"]:
        yield Episode(one["type"], one["start"], one["end"], one["onset"], told.get("victim"))


def _hours(rows: pl.DataFrame) -> float:
    times = rows["timestamp"]
    return float(times.max() - times.min()) / 3600  # type: ignore[operator,arg-type]
