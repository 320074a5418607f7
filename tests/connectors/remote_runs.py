"""Pipelines from files to remote places and back: what the tests of sftp and s3 share."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import polars as pl

ROWS = 3000

SCHEMA = pl.Schema({"id": pl.Int64, "text": pl.String})
ROWS_OF = pl.DataFrame({"id": range(5), "text": ["a", None, "é", "", "x" * 100_000]}, schema=SCHEMA)
FAULTS = ["remote.written:kill:3", "remote.staged:kill:2", "remote.remembered:kill:2"]
FAULTS += ["remote.revealed:kill:3", "epoch.published:kill:2", "remote.begun:kill:4"]


def write_rows(path: Path, count: int = ROWS, start: int = 0) -> None:
    """Rows whose ids tell which of them are lost."""
    lines = (json.dumps({"id": n, "text": f"row é{n}"}) for n in range(start, start + count))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def pipeline(folder: Path, source: str, output: str, more: str = "", rows: int = 250) -> Path:
    """A pipeline file with a checkpoint and an epoch for every batch."""
    path = folder / "pipeline.yaml"
    path.write_text(
        f"name: moved\nsource: {source}\noutput: {output}\n"
        f"checkpoint: {{path: {folder}/checkpoint, interval: 0s}}\n"
        f"batch: {{rows: {rows}}}\n{more}"
    )
    return path


def started(path: Path, fault: str | None = None, **environment: str) -> subprocess.Popen[str]:
    """`pds run`, as a process of its own."""
    env = {**os.environ, **environment, **({"PDS_FAULT": fault} if fault else {})}
    return subprocess.Popen(
        [sys.executable, "-m", "pydatastream", "run", str(path), "-q"],
        env=env,
        cwd=path.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ran(path: Path, fault: str | None = None, **environment: str) -> int:
    """The exit code of a run, minus the signal that ended it; its words if it is not one."""
    process = started(path, fault, **environment)
    text, _ = process.communicate(timeout=120)
    assert process.returncode in (0, -signal.SIGKILL), text
    return process.returncode


def finished(path: Path, **environment: str) -> None:
    assert ran(path, **environment) == 0


def killed_at_times(path: Path, delays: list[float], **environment: str) -> int:
    """Kill runs after these delays; how many were still at work."""
    kills = 0
    for delay in delays:
        process = started(path, **environment)
        time.sleep(delay)
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
    return kills


def delays(count: int, seed: int = 5) -> list[float]:
    """Times at which a run has begun, and is not over."""
    dice = random.Random(seed)
    return [dice.uniform(0.6, 2.0) for _ in range(count)]


def ids(texts: list[str]) -> Counter[int]:
    """How often each id is in some files of JSON lines."""
    return Counter(json.loads(line)["id"] for text in texts for line in text.splitlines())


def each_once(count: int = ROWS) -> Counter[int]:
    return Counter(range(count))
