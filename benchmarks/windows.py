"""The first job: JSON lines, a filter, one-minute windows by device, JSON out."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from benchmarks.contest import OUT, Contender, contest, environment
from benchmarks.data import readings

PEERS = Path(__file__).parent / "peers"
PDS = [sys.executable, "-m", "pydatastream", "run", "--json"]

PIPELINE = """\
name: bench-{name}
source: {{type: file, path: {path}, format: json, time: ts, time_unit: ms}}
processor:
  - filter: temperature > 10
  - tumbling: {{size: {size}, by: [device_id], lateness: 5s,
               aggregate: {{n: count(*), mean: avg(temperature), hi: max(temperature)}}}}
{more}output: {{type: file, path: {out}/, format: json}}
"""


def pipeline(name: str, path: Path, size: str = "1m", more: str = "") -> Path:
    """A pipeline file for this job."""
    file = OUT / f"{name}.yaml"
    out = (OUT / f"out-{name}").absolute()
    shutil.rmtree(out, ignore_errors=True)
    text = PIPELINE.format(name=name, path=path.absolute(), out=out, size=size, more=more)
    file.write_text(text)
    return file


def checkpointed(name: str, path: Path) -> Contender:
    """The job with an epoch every second; each run starts afresh."""
    kept = (OUT / f"checkpoint-{name}").absolute()
    file = pipeline(name, path, more=f"checkpoint: {{path: {kept}, interval: 1s}}\n")
    out = OUT / f"out-{name}"
    script = f"rm -rf {kept} {out}; exec {' '.join(PDS)} {file}"
    return Contender("PyDataStream, checkpoint 1 s", ["sh", "-c", script], 4_000_000)


def main(rows: int = 4_000_000) -> None:
    """Against DuckDB and Bytewax; our batches as large as they come, and of 1,000 rows."""
    path = readings(rows, 1000)
    bytewax = environment("bytewax", "bytewax==0.21.1", "orjson")
    duckdb = environment("duckdb", "duckdb")
    job = {"BENCH_IN": str(path.absolute())}
    ours = [*PDS, str(pipeline("windows", path))]
    small = [*PDS, str(pipeline("windows-1000", path, more="batch: {rows: 1000}\n"))]
    flow = [str(bytewax), "-m", "bytewax.run", f"{PEERS / 'bytewax_windows.py'}:flow"]
    contest(
        f"{rows:,} JSON lines, 1,000 devices: filter, 1-minute windows, JSON out",
        [
            Contender("PyDataStream", ours, rows),
            checkpointed("windows-checkpoint", path),
            Contender("PyDataStream, 1,000-row batches", small, rows),
            Contender(
                "DuckDB, one shot",
                [str(duckdb), str(PEERS / "duckdb_windows.py")],
                rows,
                job | {"BENCH_OUT": str(OUT / "duckdb.json")},
            ),
            Contender(
                "Bytewax 0.21",
                flow,
                rows,
                job | {"BENCH_OUT": str(OUT / "bytewax.json"), "PATH": os.environ["PATH"]},
                rounds=1,
            ),
        ],
    )


def many_keys(rows: int = 12_000_000) -> None:
    """Ten million distinct keys in one window, against a thousand; only busy keys are written."""
    often = "  - filter: n > 3\n"
    contenders = [
        Contender(name, [*PDS, str(pipeline(name, path, "30d", often))], rows, rounds=1)
        for name, path in (
            ("10-M-keys", readings(rows, 10_000_000)),
            ("1000-keys", readings(rows, 1000)),
        )
    ]
    contest(f"{rows:,} JSON lines in one window", contenders)
