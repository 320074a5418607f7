"""Detection of attacks: records a second from files, and through Redis."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from benchmarks.contest import Contender, contest
from pydatastream.apps.ddos.generate import readable
from pydatastream.apps.ddos.producer import Sender, Tally, stream
from pydatastream.connectors.redis_sink import RedisSink
from pydatastream.parts.traffic.day import traffic
from services.redis import Redis
from services.server import folder

SCHEMA = """{timestamp: timestamp, source_ip: string, dest_ip: string, protocol: string,
          source_port: int, dest_port: int, packets: int, bytes: int, tcp_flags: int,
          is_attack: int}"""
DETECT = """\
name: bench-ddos
source: {{{source}, schema: {schema}, time: timestamp, max_skew: "off"}}
processor:
  - flow_features: {{size: 1s}}
  - attack_score: {{}}
outputs:
  windows: {{type: "null", input: attack_score}}
  alarms: {{type: "null", input: attack_score.alarms}}
"""
THROUGH = 300_000
"""Records that go through Redis."""


def main(rows: int = 2_000_000) -> None:
    """All features and the detection per destination: Parquet, CSV, a Redis stream."""
    with TemporaryDirectory() as place:
        files = Path(place)
        made = records(rows)
        made.with_columns(pl.col("timestamp").str.to_datetime(time_zone="UTC")).write_parquet(
            files / "t.parquet"
        )
        made.write_csv(files / "t.csv")
        jobs = [
            ours(files, ending, rows, f"type: file, path: {files / f't.{ending}'}")
            for ending in ("parquet", "csv")
        ]
        jobs.append(Contender("Polars, sums per second and destination", [
            sys.executable, "-c", PLAIN.format(path=files / "t.parquet")], rows))  # fmt: skip
        contest(f"{rows:,} flow records, features and detection per destination", jobs)
        through_redis(files, made.head(THROUGH))


PLAIN = """
import polars as pl
rows = pl.scan_parquet('{path}').group_by(pl.col('timestamp').dt.truncate('1s'), 'dest_ip')
print(rows.agg(pl.len(), pl.sum('packets', 'bytes'), pl.n_unique('source_ip')).collect().height)
"""


def records(rows: int) -> pl.DataFrame:
    """So many records of a busy network, with two attacks."""
    calm = rows / 480
    return readable(traffic(1, calm, types=("syn_flood", "udp_amplification_dns")).head(rows))


def ours(files: Path, name: str, rows: int, source: str) -> Contender:
    """`pds run` of the detection."""
    path = files / f"{name}.yaml"
    path.write_text(DETECT.format(source=source, schema=SCHEMA))
    command = [sys.executable, "-m", "pydatastream", "run", str(path)]
    return Contender(f"PyDataStream, {name}", command, rows)


def through_redis(files: Path, rows: pl.DataFrame) -> None:
    """What the producer sends, to the last window."""
    rows.write_csv(files / "sent.csv")
    with folder() as place, Redis(place) as server:
        url = server.environment()["REDIS_URL"]
        sink = RedisSink(url=url, stream="network_traffic")
        tally, sender = Tally(), Sender(sink)
        stream(files / "sent.csv", None, 0.0, sender, tally)
        sender.close()
        seconds = time.monotonic() - tally.start
        print(f"the producer sent {tally.sent:,} records, {tally.sent / seconds:,.0f} a second")
        source = f"type: redis, url: '{url}', stream: network_traffic, stop: latest, format: json"
        job = ours(files, "Redis", rows.height, source)
        contest(f"{rows.height:,} records from a Redis stream, detection", [job])


if __name__ == "__main__":
    main()
