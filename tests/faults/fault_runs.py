"""Runs of a pipeline that are killed and started again, and what is left of each row."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet

HERE = Path(__file__).parent
SRC = HERE.parents[1] / "src" / "pydatastream"
LONGEST = 60.0
"""Seconds after which a run counts as hanging."""

Row = tuple[Any, ...]
Rows = Counter[Row]


def points(*places: str) -> set[str]:
    """The fault points in the source itself, of these folders and files."""
    files = [file for place in places for file in sorted(SRC.glob(place))]
    text = "".join(file.read_text() for file in files)
    return set(re.findall(r'fault_point\(\s*"([\w.]+)"', text))


class Children:
    """The server that forks runs; see fault_child.py."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, str(HERE / "fault_child.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(SRC.parent)])},
        )

    def start(self, folder: Path, **how: Any) -> int:
        """Start `pds run pipeline.yaml` in a folder; returns its process id."""
        plain: dict[str, Any] = {"stdin": os.devnull, "fault": None, "bug": None}
        plain |= {
            "small": False,
            "stops": False,
            "halts": False,
            "traced": False,
            "folder": str(folder),
        }
        options = [str(one) for one in how.pop("options", [])]
        plain["arguments"] = ["run", "pipeline.yaml", "-q", *options]
        return int(self._ask({"run": plain | how}))

    def wait(self, pid: int, seconds: float = LONGEST) -> int | None:
        """Its exit code, or minus the signal that ended it; None: it is still at work."""
        code: int | None = self._ask({"wait": {"pid": pid, "seconds": seconds}})
        return code

    def close(self) -> None:
        """End the server."""
        if self._server.stdin:
            self._server.stdin.close()
        self._server.wait(10)

    def _ask(self, request: dict[str, Any]) -> Any:
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())


@dataclass(frozen=True)
class Case:
    """A pipeline and its rows; `write` puts both into a folder."""

    name: str
    pipeline: str
    write: Callable[[Path], None]
    outputs: tuple[str, ...]
    ignored: tuple[str, ...] = ("position", "plan", "at")
    """Columns that tell how a run went, not what it gave."""

    @property
    def resumes(self) -> bool:
        """Whether it keeps a checkpoint."""
        return "checkpoint:" in self.pipeline

    def prepare(self, folder: Path) -> Path:
        """The folder with the pipeline file and its data."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pipeline.yaml").write_text(self.pipeline)
        self.write(folder)
        return folder

    def found(self, folder: Path) -> Rows:
        """What a reader of the outputs sees, each row with the output it is in."""
        return Counter(
            (name, *self._row(one)) for name in self.outputs for one in read(folder / name)
        )

    def _row(self, row: dict[str, Any]) -> Row:
        kept = {key: value for key, value in row.items() if key not in self.ignored}
        return tuple((key, _rounded(value)) for key, value in kept.items())


def _rounded(value: Any) -> Any:
    """Sums may be added up in another order: equal to 1e-9."""
    return round(value, 9) if isinstance(value, float) else value


def read(folder: Path) -> Iterator[dict[str, Any]]:
    """The rows of the files of a directory, as far as they can be seen."""
    for file in sorted(folder.glob("part-*")):
        if file.suffix == ".parquet":
            yield from pyarrow.parquet.read_table(file).to_pylist()
        else:
            yield from map(json.loads, file.read_text().splitlines())


@dataclass
class Totals:
    """What became of rows over many kills."""

    kills: int = 0
    stops: int = 0
    runs: int = 0
    lost: int = 0
    twice: int = 0
    killed_at: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.stops} stops, {self.runs} runs: "
            f"{self.lost} rows lost, {self.twice} rows twice"
        )

    def add(self, other: Totals) -> None:
        """Count those of another, too."""
        for name in ("kills", "stops", "runs", "lost", "twice"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.killed_at += other.killed_at

    def compare(self, expected: Rows, found: Rows) -> None:
        """Count the rows that differ."""
        self.lost += (expected - found).total()
        self.twice += (found - expected).total()


class WrongExitError(AssertionError):
    """A run ended otherwise than it should."""


@dataclass
class Killer:
    """Kills the runs of one case, and counts."""

    children: Children
    case: Case
    folder: Path
    bug: str | None = None
    small: bool = False
    dice: random.Random = field(default_factory=lambda: random.Random(11))
    totals: Totals = field(default_factory=Totals)
    passes: Counter[str] = field(default_factory=Counter)
    """How often an uninterrupted run passes each fault point."""
    seconds: float = 0.0
    """How long an uninterrupted run takes."""

    def __post_init__(self) -> None:
        self._count = 0

    def place(self) -> Path:
        """A new folder with the case's data."""
        self._count += 1
        return self.case.prepare(self.folder / f"{self.case.name}-{self._count}")

    def whole(self) -> Rows:
        """What an uninterrupted run without any bug gives."""
        place, began = self.place(), time.monotonic()
        code = self.children.wait(self.children.start(place, small=self.small, traced=True))
        if code:
            raise WrongExitError(self._told(place, code))
        self.seconds = time.monotonic() - began
        self.passes = Counter(json.loads((place / "points.json").read_text()))
        return self.case.found(place)

    def chains(self, count: int, each: int) -> list[list[str]]:
        """Faults at points that are passed, in chains of kills: every point, then any."""
        known = sorted(self.passes)
        self.dice.shuffle(known)
        every = [one for _ in range(count * each // max(len(known), 1) + 1) for one in known]
        faults = [f"{one}:kill:{self._pass(one)}" for one in every[: count * each]]
        return [faults[at::count] for at in range(count)]

    def _pass(self, point: str) -> int:
        """The first pass, the second, or any; a chain's later runs have fewer passes."""
        return self.dice.choice((1, 2, self.dice.randint(1, min(self.passes[point], 12))))

    def at_points(self, expected: Rows, faults: Sequence[str]) -> None:
        """Kill a run at each of these faults in turn, then let it end."""
        place = self.place()
        for fault in faults:
            self.run(place, fault=fault, options=self._options())
        self._finish(place, expected)

    def at_times(self, expected: Rows, delays: Sequence[float]) -> None:
        """Kill a run after each delay in seconds, then let it end."""
        place = self.place()
        for delay in delays:
            pid = self._start(place, options=self._options())
            time.sleep(delay)
            os.kill(pid, signal.SIGKILL)
            self._killed(place, self.children.wait(pid), "any time")
        self._finish(place, expected)

    def stopped(self, expected: Rows, fault: str) -> None:
        """Stop a run gracefully when it comes to a point, then let it end."""
        place = self.place()
        self.run(place, fault=fault, stops=True)
        self.totals.stops += 1
        self._finish(place, expected)

    def run(self, place: Path, **how: Any) -> None:
        """One run that ends, or is killed by its fault; anything else is wrong."""
        pid = self._start(place, **how)
        code = self.children.wait(pid)
        if code is None:
            os.kill(pid, signal.SIGKILL)
            self.children.wait(pid)
            raise WrongExitError(f"a run hangs: {how}")
        self._killed(place, code, str(how.get("fault")).split(":")[0])

    def _killed(self, place: Path, code: int | None, by: str) -> None:
        if code == -signal.SIGKILL:
            self.totals.kills += 1
            self.totals.killed_at[by] += 1
        elif code:
            raise WrongExitError(self._told(place, code))

    def _finish(self, place: Path, expected: Rows) -> None:
        self.run(place, options=self._options())
        self.totals.compare(expected, self.case.found(place))

    def _start(self, place: Path, **how: Any) -> int:
        self.totals.runs += 1
        return self.children.start(place, bug=self.bug, small=self.small, **how)

    def _options(self) -> list[object]:
        """Batches are cut otherwise in each run; what comes out must not depend on it."""
        return ["--batch-rows", self.dice.choice((60, 100, 170))]

    def _told(self, place: Path, code: int | None) -> str:
        return f"exit {code}: {(place / 'stderr.txt').read_text()[-2000:]}"


@contextmanager
def served() -> Iterator[Children]:
    """A server, ended afterwards."""
    children = Children()
    try:
        yield children
    finally:
        children.close()
