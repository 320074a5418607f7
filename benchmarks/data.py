"""Input files for the benchmarks, made once from a seed."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from benchmarks.contest import OUT

START = 1_700_000_000_000
"""Milliseconds since 1970 of the first row."""


def readings(rows: int, devices: int, *, per_second: int = 1000) -> Path:
    """JSON lines {device_id, ts, temperature, humidity, pressure, status}, in time order."""
    path = OUT / f"readings-{rows}-{devices}.jsonl"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            for first in range(0, rows, 1_000_000):
                count = min(1_000_000, rows - first)
                file.write(_readings(first, count, devices, per_second).write_ndjson().encode())
        part.rename(path)
    return path


def _readings(first: int, count: int, devices: int, per_second: int) -> pl.DataFrame:
    row = pl.int_range(first, first + count, eager=True).cast(pl.UInt64)
    frame = pl.DataFrame({"row": row})

    def spread(salt: int, values: int) -> pl.Expr:
        return pl.col("row").hash(salt) % values

    each_once = pl.col("row") * 7_654_321 % devices  # with devices a power of ten: a permutation
    often = spread(1, max(devices // 25, 1000))
    device = pl.when(pl.col("row") < devices).then(each_once).otherwise(often)
    return frame.select(
        device_id="d" + device.cast(pl.String).str.zfill(len(str(devices))),
        ts=(pl.col("row") * 1000 // per_second + START).cast(pl.Int64),
        temperature=(spread(2, 4000).cast(pl.Float64) / 100 - 5).round(2),
        humidity=(spread(3, 6000).cast(pl.Float64) / 100 + 20).round(2),
        pressure=(spread(4, 8000).cast(pl.Float64) / 100 + 960).round(2),
        status=pl.lit(pl.Series(["ok", "warn", "fail"])).gather(spread(5, 3).cast(pl.UInt32)),
    )
