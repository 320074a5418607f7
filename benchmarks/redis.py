"""Redis stream to Redis stream: how many rows a second."""

from __future__ import annotations

import sys
import uuid
from itertools import islice
from pathlib import Path

from redis import Redis as Client

from benchmarks.contest import OUT, Contender, contest
from benchmarks.data import readings
from services.redis import Redis
from services.server import folder

RAW = Path(__file__).parent / "peers" / "redis_raw.py"
COPY = """\
name: copy-{out}
source: {{type: redis, url: '{url}', stream: bench-in, stop: latest, format: json,
         schema: {{device_id: string, ts: int, temperature: float, status: string}}}}
processor:
  - filter: temperature > 10
output: {{type: redis, url: '{url}', stream: {out}, format: json}}
{more}
"""


def main(rows: int = 500_000) -> None:
    """Filter from stream to stream, on a server that syncs every write; against the client."""
    with folder() as place, Redis(place) as server:
        url = server.environment()["REDIS_URL"]
        fill(url, rows)
        safe = "checkpoint: {{path: {kept}, interval: 1s}}\ndelivery: {delivery}\n"
        contest(
            f"{rows:,} rows from Redis stream to Redis stream, filtered",
            [
                ours("PyDataStream, no checkpoint", url, rows, ""),
                ours("PyDataStream, at least once", url, rows, safe, "at_least_once"),
                ours("PyDataStream, exactly once", url, rows, safe, "exactly_once"),
                Contender(
                    "redis-py, XREAD and XADD", [sys.executable, str(RAW)], rows, {"BENCH_URL": url}
                ),
            ],
        )


def fill(url: str, rows: int) -> None:
    """The stream that is read."""
    client = Client.from_url(url)
    with readings(rows, 1000).open("rb") as lines:
        while part := list(islice(lines, 10_000)):
            pipe = client.pipeline(transaction=False)
            for line in part:
                pipe.xadd("bench-in", {"data": line.rstrip()})
            pipe.execute()


def ours(name: str, url: str, rows: int, more: str, delivery: str = "") -> Contender:
    """The job; each run has a stream and a checkpoint of its own."""
    out = f"bench-{uuid.uuid4().hex[:6]}"
    file = (OUT / f"redis-{out}.yaml").absolute()
    kept = more.format(kept=f"{file}-$RUN", delivery=delivery) if more else ""
    file.parent.mkdir(exist_ok=True)
    file.write_text(COPY.format(url=url, out=f"{out}-$RUN", more=kept))
    fresh = f'RUN=$$; sed "s/\\$RUN/$RUN/g" {file} > {file}.$RUN.yaml'
    run = f"exec {sys.executable} -m pydatastream run -q {file}.$RUN.yaml"
    return Contender(name, ["sh", "-c", f"{fresh}; {run}"], rows)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
