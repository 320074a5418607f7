"""Measurements of this machine, on data that are generated for them."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import polars as pl
from pydantic import PrivateAttr

from pydatastream.core.sink import Delivery, Sink, Write, Writer
from pydatastream.pipeline import Pipeline

READING = {
    "device_id": "concat('device-', i % 1000)",
    "ts": "1700000000000 + i * 5",
    "temperature": "20 + 5 * g",
    "humidity": "50 + 10 * g",
    "pressure": "1013 + 3 * g",
    "status": "case when u < 0.9 then 'ok' else 'low' end",
}
"""The rows that are read: 200 a second, from 1,000 devices."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of one measurement; times of rows are in milliseconds."""

    what: str
    rows: int
    seconds: float
    p50: float | None = None
    p99: float | None = None
    most: float | None = None

    @property
    def rate(self) -> float:
        """Rows per second."""
        return self.rows / self.seconds

    def plain(self) -> dict[str, object]:
        """The measurement as JSON has it."""
        return {**asdict(self), "rows_per_second": round(self.rate)}

    def cells(self) -> tuple[str, ...]:
        """The measurement as a row of a table."""
        times = ("" if one is None else f"{one:.1f}" for one in (self.p50, self.p99, self.most))
        return (self.what, f"{self.rows:,}", f"{self.seconds:.2f}", f"{self.rate:,.0f}", *times)


def throughput(folder: Path, rows: int) -> Measured:
    """Read JSON lines, filter, put into windows by device, write JSON lines."""
    data = folder / "readings.jsonl"
    source = Pipeline.read("generate", columns=READING, count=rows)
    source.write("file", path=str(data), format="json").run()
    windows = (
        Pipeline.read("file", path=str(data), time="ts", time_unit="ms")
        .filter("temperature > 10")
        .tumbling("1m", by=["device_id"], n="count(*)", mean="avg(temperature)",
                  hottest="max(temperature)")
        .write("file", path=str(folder / "windows.jsonl"), format="json")
    )  # fmt: skip
    began = time.perf_counter()
    windows.run()
    return Measured("JSON, filter, windows, JSON", rows, time.perf_counter() - began)


def latency(rate: int, seconds: float) -> Measured:
    """Generate rows at a rate, filter them, and see when each is in the sink."""
    columns = {"ts": "t", "value": "20 + g"}
    arrivals = Arrivals()
    generated = Pipeline.read("generate", columns=columns, rate=rate, count=round(rate * seconds))
    began = time.perf_counter()
    generated.filter("value > 0").to(arrivals).run()
    passed = time.perf_counter() - began
    delays = arrivals.delays()
    p50, p99 = (delays.quantile(one, "linear") for one in (0.5, 0.99))
    most = delays.max()
    return Measured(f"a row at {rate:,} rows/s", delays.len(), passed, p50, p99, most)  # type: ignore[arg-type]


class Arrivals(Sink):
    """Remembers how long rows took: from their time `ts` until they were written."""

    delivery: ClassVar[Delivery] = Delivery.AT_MOST_ONCE

    _delays: list[pl.Series] = PrivateAttr(default_factory=list)

    def open(self, job: Write) -> Writer:  # noqa: ARG002 - nothing is made for the job
        """Start listening."""
        return _Listener(self._delays)

    def delays(self) -> pl.Series:
        """Milliseconds, one for each row."""
        return pl.concat(self._delays)


class _Listener:
    """Notes when rows come."""

    def __init__(self, delays: list[pl.Series]) -> None:
        self._delays = delays

    def begin(self, epoch: int) -> None: ...

    def write(self, rows: pl.DataFrame) -> None:
        now = time.time_ns() // 1_000
        self._delays.append((now - rows["ts"].to_physical()) / 1_000)

    def publish(self, epoch: int) -> None: ...

    def published(self) -> int | None:
        return None

    def close(self) -> None: ...
