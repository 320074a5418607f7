"""How much memory a process has over time, and how large what it keeps on disk is."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

Part = tuple[float, float]
"""From where to where, as parts of the whole time."""


class Memory:
    """The resident memory of a process, in MB, as often as one looks."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._began = time.monotonic()
        self._seen: list[tuple[float, int]] = []

    def look(self) -> int:
        """Look now."""
        self._seen.append((time.monotonic() - self._began, self._now("VmRSS")))
        return self._seen[-1][1]

    def peak(self) -> int:
        """The most there ever was."""
        return self._now("VmHWM")

    def median(self, part: Part) -> float:
        """What was typical in a part of the time up to the last look."""
        whole = self._seen[-1][0]
        return statistics.median(mb for at, mb in self._seen if part[0] <= at / whole <= part[1])

    def told(self, every: float) -> str:
        """The median and the most of each span of so many seconds."""
        spans: dict[int, list[int]] = {}
        for at, mb in self._seen:
            spans.setdefault(int(at / every), []).append(mb)
        return " ".join(f"{statistics.median(mbs):.0f}/{max(mbs)}" for mbs in spans.values())

    def _now(self, which: str) -> int:
        """0 when it has ended."""
        lines = self._status.read_text().splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith(which)), 0) // 1024


def folder_size(folder: Path) -> int:
    """Bytes of all files of a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
