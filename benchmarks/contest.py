"""Commands timed against each other as whole processes, in turn."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measured import note

OUT = Path("bench-out")
"""Where data, outputs and the peers' environments are kept between runs."""


WATCHED = Path(__file__).with_name("watched.py")


@dataclass(frozen=True)
class Contender:
    """One way to do the job: a command, and how often it is run."""

    name: str
    command: Sequence[str]
    rows: int
    env: Mapping[str, str] = field(default_factory=dict)
    rounds: int = 3


@dataclass
class Result:
    """Seconds of each run, and the most memory that one took, in MB."""

    contender: Contender
    seconds: list[float] = field(default_factory=list)
    memory: float = 0.0

    @property
    def rate(self) -> float:
        """Million rows per second, by the median run."""
        return self.contender.rows / statistics.median(self.seconds) / 1e6


def environment(name: str, *packages: str) -> Path:
    """A Python of its own for a peer, made once; returns its interpreter."""
    home = (OUT / "peers" / name).absolute()
    python = home / "bin" / "python"
    if not python.exists():
        print(f"  installing {', '.join(packages)} ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def contest(title: str, contenders: Sequence[Contender]) -> dict[str, Result]:
    """Run every contender in turn, round by round, and print medians and ratios to the first."""
    results = {one.name: Result(one) for one in contenders}
    for number in range(max(one.rounds for one in contenders)):
        for one in contenders:
            if number < one.rounds:
                _once(results[one.name])
    _tell(title, list(results.values()))
    return results


def _once(result: Result) -> None:
    env = {**os.environ, **result.contender.env}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # else Python compiles every module in every run
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told"
        command = [sys.executable, "-S", WATCHED, told, *result.contender.command]
        done = subprocess.run(command, env=env, stdout=-3, stderr=-1, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{result.contender.name} failed:\n{done.stderr[-2000:]}")
        seconds, memory = map(float, told.read_text().split())
    result.seconds.append(seconds)
    result.memory = max(result.memory, memory)


def _tell(title: str, results: Sequence[Result]) -> None:
    for result in results:
        median = statistics.median(result.seconds)
        figure = f"{result.rate:.3f} M rows/s ({median:.2f} s, {result.memory:,.0f} MB)"
        note(title, result.contender.name, figure, results[0].rate / result.rate)
