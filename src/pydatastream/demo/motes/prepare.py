"""Make `motes.csv.gz` from the published readings of motes 1 and 2.

    python -m pydatastream.demo.motes.prepare suthaharan_single_hop_motes_1_2.csv

The published file numbers the readings of each mote from 1 and says they are five seconds apart;
when the first was taken it does not say. `ts` counts from 2010-03-01T00:00:00Z. The same input
gives the same bytes.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import polars as pl

START = pl.datetime(2010, 3, 1, time_zone="UTC")
SECONDS = 5
COLUMNS = ("ts", "mote_id", "humidity", "temperature", "label")
TARGET = Path(__file__).with_name("motes.csv.gz")


def prepared(path: Path) -> bytes:
    """The readings with their times, in the order in which they were taken, as packed CSV."""
    passed = pl.duration(seconds=(pl.col("reading") - 1) * SECONDS)
    time = (START + passed).dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    rows = pl.read_csv(path).with_columns(ts=time).sort("reading", "mote_id").select(COLUMNS)
    return gzip.compress(rows.write_csv().encode(), compresslevel=9, mtime=0)


if __name__ == "__main__":
    TARGET.write_bytes(prepared(Path(sys.argv[1])))
