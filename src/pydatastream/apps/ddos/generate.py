"""Make a labelled CSV file of traffic: a network at work, and attacks of every kind.

python -m pydatastream.apps.ddos.generate ../dataset/network_traffic.csv --seed 7
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from pydatastream.parts.traffic.day import traffic
from pydatastream.parts.traffic.making import ATTACKS, START


def readable(rows: pl.DataFrame) -> pl.DataFrame:
    """The records with times as ISO-8601."""
    times = pl.from_epoch((pl.col("timestamp") * 1000).round().cast(pl.Int64), "ms")
    return rows.with_columns(times.dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").alias("timestamp"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file that the command line asks for."""
    parser = argparse.ArgumentParser(prog="generate", description=__doc__.partition("\n")[0])
    parser.add_argument("path", type=Path, nargs="?", default=Path("network_traffic.csv"))
    parser.add_argument("--seed", type=int, default=0, help="another seed, another day")
    parser.add_argument("--rate", type=float, default=40.0, help="records a second in calm")
    parser.add_argument("--attacks", nargs="*", choices=list(ATTACKS), default=list(ATTACKS),
                        metavar="TYPE", help=f"which, in order: {', '.join(ATTACKS)}")  # fmt: skip
    given = parser.parse_args(arguments)
    rows = readable(traffic(given.seed, given.rate, START, given.attacks))
    given.path.parent.mkdir(parents=True, exist_ok=True)
    rows.write_csv(given.path)
    attacks = rows.filter(pl.col("is_attack") == 1)
    print(f"{given.path}: {rows.height:,} records, {attacks.height:,} of them of "
          f"{attacks['attack_type'].n_unique()} attacks")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
