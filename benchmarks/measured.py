"""What was measured: printed as it comes, kept in measured.json, shown in the README."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl

HERE = Path(__file__).parent
KEPT = HERE / "measured.json"
README = HERE.parent / "README.md"
START, END = "<!-- measured -->", "<!-- end -->"

Figure = tuple[str, str, str, float | None]
"""The job, who did it, the figure with its unit, and how ours compares: 2.0 is twice as good."""

_noted: list[Figure] = []


def note(job: str, who: str, figure: str, ratio: float | None = None) -> None:
    """Print one figure under its job, and keep it for the README."""
    if not _noted or _noted[-1][0] != job:
        print(f"\n{job}")
    _noted.append((job, who, figure, ratio))
    print(f"  {who:36}{figure:36}{_times(ratio)}", flush=True)


def keep(contest: str) -> None:
    """Store what was noted as the last result of a contest, and show all results in the README."""
    kept: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    now = datetime.now(UTC).strftime("%Y-%m-%d")
    kept[contest] = {"date": now, "machine": machine(), "figures": list(_noted)}
    _noted.clear()
    KEPT.write_text(json.dumps(kept, indent=1) + "\n")
    text = README.read_text()
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{START}\n{shown(kept)}{END}{after}")


def forget() -> None:
    """Drop what was noted of a contest that failed."""
    _noted.clear()


def shown(kept: Mapping[str, Any]) -> str:
    """All results as one table in Markdown: how each contest is held again, and when it was."""
    lines = ["", "| job | who | measured | ours / it |", "| --- | --- | --- | --- |"]
    lines += [line for contest, one in kept.items() for line in _lines(contest, one)]
    machines = sorted({one["machine"] for one in kept.values()})
    return "\n".join([*lines, "", f"On {'; '.join(machines)}.", ""])


def _lines(contest: str, result: Mapping[str, Any]) -> Iterator[str]:
    yield f"| **`BENCH={contest}`** | {result['date']} | | |"
    for job, figures in groupby(result["figures"], key=lambda figure: figure[0]):
        for number, (_, who, figure, ratio) in enumerate(figures):
            yield f"| {'' if number else job} | {who} | {figure} | {_times(ratio)} |"


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}x"


def machine() -> str:
    """Processor, cores, and the versions that matter most."""
    info = Path("/proc/cpuinfo")
    told = info.read_text().splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in told if line.startswith("model name"))
    cores = f"{os.cpu_count()} cores"
    versions = f"Python {platform.python_version()}, Polars {pl.__version__}"
    return f"{next(names, platform.machine())}, {cores}, {versions}"
