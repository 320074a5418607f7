"""Nine attacks on a small network, found among its everyday traffic, with type and victim.

It makes the traffic, network_traffic.csv, and leaves the pipeline, pds-ddos.yaml, yours to change.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
from rich.console import Console
from rich.text import Text

from pydatastream.apps.ddos.generate import readable
from pydatastream.cli.tables import printed
from pydatastream.config.loading import loads
from pydatastream.connectors.memory import MemorySink
from pydatastream.engines import local
from pydatastream.parts.traffic.day import traffic
from pydatastream.pipeline import Pipeline

FULL = "a Redis server: CSV, stream, workers, alarms, dashboard, in examples/ddos"

DATA, COPY = Path("network_traffic.csv"), Path("pds-ddos.yaml")
RATE = 20.0
PIPELINE = """\
# Attacks in recorded traffic. Change a line and run it:  pds run pds-ddos.yaml

name: ddos-demo

source:
  type: file
  path: network_traffic.csv            # your own, with the same columns; others: see flow_features
  schema: {timestamp: timestamp, source_ip: string, dest_ip: string, protocol: string,
           source_port: int, dest_port: int, packets: int, bytes: int, tcp_flags: string,
           is_attack: int}
  time: timestamp

processor:
  - flow_features: {size: 1s}          # what traffic to each destination looks like
  - attack_score: {threshold: 5}       # change me: 3 or 10
  - mitigation_hints: {}
    input: attack_score.alarms

output: {type: file, path: alarms/, format: json}
"""


def run(out: Console) -> None:
    """Make traffic, find the attacks in it, and show them beside what was truly done."""
    if not DATA.exists():
        readable(traffic(rate=RATE)).write_csv(DATA)
    rows = pl.read_csv(DATA)
    out.print(
        Text(f"data: {rows.height:,} records in {DATA}, made up, no real addresses\n"), style="dim"
    )
    if not COPY.exists():
        COPY.write_text(PIPELINE, "utf-8")
    sink = MemorySink()
    found = Pipeline(declaration=loads(PIPELINE, str(COPY)))
    pipeline = found.to(sink, name="shown", input="mitigation_hints")
    try:
        report = local.run(pipeline.plan(), local.Settings(**pipeline.settings()))
        said = sink.frame()
    finally:
        sink.forget()
    _table(said.filter(pl.col("state") == "ended"), rows)
    _advice(out, said)
    told = f"{report.rows_in:,} records in {report.seconds:.1f} s, {report.rate():,.0f} a second"
    out.print(Text(f"\n{told}; the alarms are in alarms/, the pipeline in {COPY}"), soft_wrap=True)


def _table(ended: pl.DataFrame, rows: pl.DataFrame) -> None:
    head = ("victim", "type", "raised", "until", "peak pkt/s", "score", "truly")
    cells = [
        (one["victim"], one["type"], f"{one['raised']:%H:%M:%S}", f"{one['last']:%H:%M:%S}",
         f"{one['peak']:,.0f}", f"{one['score']:.0f}", _truly(one, rows))
        for one in ended.sort("raised").iter_rows(named=True)
    ]  # fmt: skip
    printed(head, cells, f"{ended.height} attacks found", ["peak pkt/s", "score"])


def _truly(alarm: dict[str, object], rows: pl.DataFrame) -> str:
    """What the labels say of most of the victim's records in that time."""
    start, last = (pl.lit(f"{alarm[name]:%Y-%m-%dT%H:%M:%S}") for name in ("start", "last"))
    there = rows.filter(pl.col("timestamp").is_between(start, last), is_attack=1)
    counts = there["attack_type"].value_counts(sort=True)
    return str(counts["attack_type"][0]) if counts.height else "no attack"


def _advice(out: Console, said: pl.DataFrame) -> None:
    first = said.row(0, named=True) if said.height else None
    if first:
        out.print(Text(f"\nthe first: {first['evidence']}"), soft_wrap=True)
        out.print(Text(f"what may be done, by a person:\n  {first['nftables']}"), soft_wrap=True)
