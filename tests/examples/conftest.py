"""The examples as users run them: the lines of their READMEs, as processes, in an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PDS = [sys.executable, "-m", "pydatastream"]
MINUTES = 120


class Programs:
    """Python programs with an environment of their own; what still runs is killed at the end."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
        self.environment = {**os.environ, "PYTHONPATH": path, **environment}
        self._running: list[subprocess.Popen[str]] = []

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        """Start `python words`; `pds` as the first word is the command."""
        command = PDS if words[0] == "pds" else [sys.executable, str(words[0])]
        one = subprocess.Popen(
            [*command, *map(str, words[1:])],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._running.append(one)
        return one

    def run(self, *words: str | Path, fails: bool = False) -> str:
        """What it says, once it has ended; it must end well, or as it is expected to."""
        one = self.start(*words)
        out, err = one.communicate(timeout=MINUTES)
        assert bool(one.returncode) == fails, out + err
        return out + err

    def end(self) -> None:
        for one in self._running:
            one.kill()
            one.communicate()


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Callable[..., Programs]]:
    """Makes `Programs` with variables of their own."""
    made: list[Programs] = []

    def make(**environment: str) -> Programs:
        made.append(Programs(tmp_path, **environment))
        return made[-1]

    yield make
    for one in made:
        one.end()
