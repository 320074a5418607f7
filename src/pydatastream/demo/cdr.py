"""A day of call records of a mobile network in cdr/, and who talks most."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.text import Text

from pydatastream.apps.cdr import job
from pydatastream.apps.cdr.options import START, Options, moment
from pydatastream.apps.cdr.records import KINDS
from pydatastream.cli.tables import printed
from pydatastream.pipeline import Pipeline

FULL = "Kafka and an SFTP server: examples/cdr, `pds cdr --help`"

FOLDER = Path("cdr")
ROWS = 3
"""So many records of each kind are shown."""

HINT = """
Start it again: nothing is made twice. Kill a longer one and start that again: it goes on.

  pds cdr --no-kafka --no-sftp --output more --start 2024-02-01T00:00:00
"""


def run(out: Console) -> None:
    """Make a day of records, show some of them, and the three who talk most in the last hours."""
    options = Options(86_400, 2, FOLDER, moment(START))
    began = time.monotonic()
    logging.getLogger("pydatastream.cdr").setLevel(logging.WARNING)
    job.run(options, threading.Event())
    seconds = time.monotonic() - began
    for kind in KINDS:
        files = sorted(FOLDER.glob(f"{kind}_*.csv"))
        rows = pl.read_csv(files[0], n_rows=ROWS, infer_schema=False)
        title = f"\n{len(files)} files {kind}_*.csv in {FOLDER}/; the first begins"
        printed(rows.columns, rows.rows(), title)
    out.print(Text(f"\n{2 * options.count:,} records in {seconds:.1f} s"))
    printed(("hour", "who talks most", "seconds"), talkers().rows(), "\nthe greatest talkers")
    out.print(Text(HINT), soft_wrap=True)


def talkers() -> pl.DataFrame:
    """The three who talk most in each of the last hours."""
    columns = {"msisdn": "string", "start_time": "timestamp", "call_duration_sec": "int"}
    read: dict[str, Any] = {"path": f"{FOLDER}/cdr_voice_*.csv", "format": "csv", "schema": columns}
    calls = Pipeline.read("file", **read, time="start_time")
    each = calls.tumbling(size="1h", by=["msisdn"], aggregate={"n": "sum(call_duration_sec)"})
    best = {"who": "arg_max(msisdn, n, 3)", "n": "arg_max(n, n, 3)"}
    hours = each.tumbling(size="1h", aggregate=best).collect().tail(ROWS)
    words = [pl.col(name).cast(pl.List(pl.String)).list.join(" ") for name in ("who", "n")]
    return hours.select(pl.col("window_start").dt.strftime("%H:%M"), *words)
