"""The score of the Numenta Anomaly Benchmark: early alarms within labelled windows count most.

References: Lavin, Ahmad (2015), Evaluating Real-time Anomaly Detection Algorithms - the Numenta
Anomaly Benchmark, ICMLA, section II; weights as in its implementation, where a window found at
its first row gives exactly 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Span = tuple[int, int]
"""First and last row of a window."""

PROBATION, LONGEST_PROBATION = 0.15, 750
"""This share of a file, but at most so many rows, is for learning and is not judged."""
FAR = 3.0
"""So many widths behind a window an alarm is as bad as any."""
OUTSIDE = -1


@dataclass(frozen=True, slots=True)
class Profile:
    """What a missed window and a false alarm cost; a window found at once gives 1."""

    missed: float = 1.0
    false: float = 0.11


STANDARD, LOW_FALSE, LOW_MISSED = Profile(), Profile(false=0.22), Profile(missed=2.0)


@dataclass(frozen=True, slots=True)
class Judged:
    """Rows of one file after probation: what an alarm is worth at each, and in which window."""

    worth: Floats
    window: npt.NDArray[np.int64]
    first: int

    @classmethod
    def of(cls, rows: int, spans: Sequence[Span], profile: Profile = STANDARD) -> Judged:
        """The rows of a file with these windows, in order and apart."""
        worth, window = np.full(rows, -profile.false), np.full(rows, OUTSIDE)
        for (left, right), (after, _) in pairwise([*spans, (rows, rows)]):
            width, at = right - left + 1, np.arange(left, after)
            past = _sigmoid((at - right) / max(width - 1, 1)) * profile.false
            within = _sigmoid((at - right - 1) / width) / _sigmoid(np.array(-1.0))
            worth[left:after] = np.where(at <= right, within, past)
            window[left : right + 1] = left
        first = math.floor(min(PROBATION * rows, LONGEST_PROBATION))
        return cls(worth[first:], window[first:], first)


def _sigmoid(position: Floats) -> Floats:
    """From 1 well before the end of a window, 0 at its end, to -1 far behind it."""
    near = 2 / (1 + np.exp(5 * np.minimum(position, FAR))) - 1
    return np.where(position >= FAR, -1.0, near)


@dataclass(frozen=True, slots=True)
class Sweep:
    """Every threshold, falling from infinity (no alarm at all), and the score of all files."""

    thresholds: Floats
    totals: Floats

    @classmethod
    def of(cls, files: Sequence[tuple[Judged, Floats]], profile: Profile = STANDARD) -> Sweep:
        """Of files and the scores of all their rows; 0 is for finding nothing, 100 the most."""
        worth = np.concatenate([one.worth for one, _ in files])
        scores = np.concatenate([scores[one.first :] for one, scores in files])
        gains, windows = _gains(worth, _numbered([one for one, _ in files]), scores, profile)
        falling = np.sort(scores)[::-1]
        last = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
        totals = 100 * np.append(0.0, np.cumsum(gains)[last]) / (windows * (1 + profile.missed))
        return cls(np.append(np.inf, falling[last]), totals)

    def best(self) -> tuple[float, float]:
        """The threshold that serves all files best, as the benchmark chooses it; the score."""
        place = int(np.argmax(self.totals))
        return float(self.thresholds[place]), float(self.totals[place])

    def at(self, threshold: float) -> float:
        """The score when a row that reaches the threshold is an alarm."""
        return float(self.totals[int((self.thresholds >= threshold).sum()) - 1])


def _numbered(files: Sequence[Judged]) -> npt.NDArray[np.int64]:
    """The window of each row, numbered through all files."""
    starts = np.cumsum([0, *(one.worth.size + one.first for one in files)])
    return np.concatenate(
        [
            np.where(one.window == OUTSIDE, OUTSIDE, one.window + start)
            for one, start in zip(files, starts, strict=False)
        ]
    )


def _gains(
    worth: Floats, window: npt.NDArray[np.int64], scores: Floats, profile: Profile
) -> tuple[Floats, int]:
    """What each row adds when the threshold falls to it, highest first; how many windows."""
    order = np.argsort(-scores, kind="stable")
    gains, window = worth[order], window[order]
    numbers = np.unique(window[window != OUTSIDE])
    for number in numbers:
        rows = np.flatnonzero(window == number)
        most = np.maximum.accumulate(np.append(-profile.missed, gains[rows]))
        gains[rows] = np.diff(most)
    return gains, numbers.size
