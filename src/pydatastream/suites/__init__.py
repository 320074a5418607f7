"""Labelled streams, and what our detectors make of them: `pds bench detect`.

A suite is a module of this folder with one class, found by looking: nothing lists it. It loads
the files of a folder, scores them with one configuration, and measures the scores against the
labels. How each configuration was chosen is told in docs/detection.md.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from pydatastream.core.errors import ConfigError, nearest

DATA = Path("../shared/data")
"""Where the data are unless something else is said."""

Frames = Mapping[str, pl.DataFrame]
"""Rows by the name of their file, without its ending."""


class Suite(ABC):
    """A labelled data set, the one configuration it is scored with, and how it is measured."""

    folder: ClassVar[str]
    """The folder of its files within the data."""
    peers: ClassVar[Mapping[str, str]] = {}
    """What others reach, by who they are: in the words of the main metric, and where from."""

    @abstractmethod
    def load(self, folder: Path) -> Frames:
        """The rows of every file, with their labels; not timed."""

    @abstractmethod
    def run(self, inputs: Frames) -> Frames:
        """What is made of them, timed: for each file `row`, `score` and `alarm` (0 or 1).

        It does not look at labels. A suite that tells events gives a row for each instead.
        """

    @abstractmethod
    def measure(self, inputs: Frames, outputs: Frames) -> Mapping[str, float]:
        """The figures by name, the main one first."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What came of a suite."""

    suite: str
    figures: Mapping[str, float]
    rows: int
    seconds: float
    peers: Mapping[str, str]
    outputs: Frames

    @property
    def rate(self) -> float:
        """Rows per second, from rows in memory to scores in memory."""
        return self.rows / self.seconds

    def plain(self) -> dict[str, Any]:
        """The measurement as JSON has it."""
        return {
            "suite": self.suite,
            "files": len(self.outputs),
            "rows": self.rows,
            "seconds": round(self.seconds, 4),
            "rows_per_second": round(self.rate),
            "metric": next(iter(self.figures)),
            "figures": dict(self.figures),
            "peers": dict(self.peers),
        }

    def save(self, folder: Path) -> None:
        """Write what was scored, a CSV file for each input file."""
        for name, rows in self.outputs.items():
            file = folder / f"{name}.csv"
            file.parent.mkdir(parents=True, exist_ok=True)
            rows.write_csv(file)


def suite_names() -> list[str]:
    """The names of all suites."""
    return sorted(info.name for info in pkgutil.iter_modules(__path__))


def find_suite(name: str) -> Suite:
    """The suite of that name; `ConfigError` with the nearest one if there is none."""
    if name not in suite_names():
        raise ConfigError(f"no suite is called {name!r}", hint=nearest(name, suite_names()))
    module = importlib.import_module(f"{__name__}.{name}")
    (found,) = (
        one
        for one in vars(module).values()
        if inspect.isclass(one) and issubclass(one, Suite) and one.__module__ == module.__name__
    )
    suite: Suite = found()
    return suite


def measured(name: str, data: Path | None = None) -> Measurement:
    """Run a suite; `data` holds its folder, or is its folder."""
    suite = find_suite(name)
    folder = _folder(suite, data or DATA)
    inputs = suite.load(folder)
    if not inputs:
        raise ConfigError(
            f"no file in {folder} is one of suite {name!r}", hint="see docs/detection.md"
        )
    start = time.perf_counter()
    outputs = suite.run(inputs)
    seconds = time.perf_counter() - start
    rows = sum(one.height for one in inputs.values())
    figures = suite.measure(inputs, outputs)
    return Measurement(name, figures, rows, seconds, suite.peers, outputs)


def table(file: Path, **how: Any) -> pl.DataFrame:
    """The rows of a CSV file, each column of the type that all of it has."""
    try:
        return pl.read_csv(file, **{"infer_schema_length": None, **how})
    except pl.exceptions.PolarsError as error:
        what = f"{file} is not as the files of this suite are: {str(error).partition(chr(10))[0]}"
        raise ConfigError(what, hint="--data DIR that holds its files, and no other CSV") from None


def _folder(suite: Suite, data: Path) -> Path:
    within = data / suite.folder
    folder = within if within.is_dir() else data
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {data}", hint="--data DIR, where the files are")
    return folder
