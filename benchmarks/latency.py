"""How long a row is under way: generate -> filter -> a sink that looks at the clock."""

from __future__ import annotations

import time
from typing import ClassVar

import polars as pl

from benchmarks.measured import note
from pydatastream import Pipeline
from pydatastream.core.sink import Delivery, Sink, Write

RATE, SECONDS = 10_000, 20


class Stopwatch:
    """Notes for each row how long ago it was due."""

    def __init__(self, delays: list[pl.Series]) -> None:
        self.delays = delays

    def begin(self, epoch: int) -> None: ...

    def write(self, rows: pl.DataFrame) -> None:
        self.delays.append(time.time_ns() // 1000 - rows["ts"].to_physical())

    def publish(self, epoch: int) -> None: ...

    def published(self) -> None: ...

    def close(self) -> None: ...


class StopwatchSink(Sink):
    """A null sink with a stopwatch."""

    delivery: ClassVar[Delivery] = Delivery.AT_MOST_ONCE
    delays: ClassVar[list[pl.Series]] = []

    def open(self, job: Write) -> Stopwatch:  # noqa: ARG002 - the contract
        return Stopwatch(self.delays)


def main() -> None:
    """Print the percentiles in milliseconds; a tenth of the rows is warm-up."""
    columns = {"ts": "t", "value": "20 + 5 * g"}
    pipeline = (
        Pipeline("latency")
        .read("generate", columns, rate=RATE, count=RATE * SECONDS, start="now", time="ts")
        .filter("value > 10")
        .to(StopwatchSink())
    )
    pipeline.run()
    delays = pl.concat(StopwatchSink.delays)
    delays = delays[delays.len() // 10 :] / 1000
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
    found = {name: delays.quantile(share) for name, share in shares.items()}
    told = ", ".join(f"{name} {value:.2f}" for name, value in found.items())
    note(f"generate at {RATE:,} rows/s -> filter -> null, row by row", "PyDataStream", f"{told} ms")


if __name__ == "__main__":
    main()
