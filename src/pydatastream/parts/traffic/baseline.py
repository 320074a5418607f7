"""What is usual, for each destination: means and deviations that attacks do not teach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from pydatastream.core.state import State
from pydatastream.core.times import Micros
from pydatastream.parts.traffic.kinds import KINDS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SERIES = ("flows", "sources", *KINDS, "source_entropy")
"""What is followed: the first are counts, and taken as log(1 + n); entropy as it is."""
FLOWS, SOURCES, ENTROPY = 0, 1, len(SERIES) - 1
OF_KIND = slice(2, 2 + len(KINDS))

FLOOR = np.array([0.3] * ENTROPY + [0.05])
"""No deviation is taken as less: traffic that never varied may well grow by a third."""
MAD_TO_SIGMA = 1.2533
"""Of a normal distribution, its standard deviation by its mean absolute deviation: sqrt(pi/2)."""
CLIP, WARY = 3.0, 1.0
"""A window teaches no more than so many deviations; less if it is suspicious.

References: Huber (1964), Robust Estimation of a Location Parameter, Annals of Mathematical
Statistics 35(1).
"""
EARLY = 10
"""The first windows of a destination teach all they hold."""
BLOCK = 4096
NUMBERS = ("windows", "strikes", "last", "since")


@dataclass(frozen=True, slots=True)
class Windows:
    """What was seen in k windows: counts (k, SERIES - 1), and the entropy of sources."""

    counts: Floats
    entropy: Floats
    bytes: Floats
    tunnels: Floats
    """Records that are neither TCP nor ICMP."""

    def logs(self) -> Floats:
        """The series as they are compared, (k, SERIES)."""
        return np.concatenate([np.log1p(self.counts), self.entropy[:, None]], axis=1)


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual for some destinations: means and deviations (k, SERIES), and who is known."""

    mean: Floats
    deviation: Floats
    known: npt.NDArray[np.bool_]
    network: float = 0.0
    """Packets usual in the whole network."""

    def packets(self) -> Floats:
        """The usual packets of all kinds, (k,)."""
        total: Floats = self.count()[:, OF_KIND].sum(axis=1)
        return total

    def count(self) -> Floats:
        """The usual counts, (k, SERIES - 1)."""
        return np.expm1(self.mean[:, :ENTROPY])

    def highest(self) -> Floats:
        """Counts that are not yet unusual."""
        return np.expm1((self.mean + self.deviation)[:, :ENTROPY])


class Baselines:
    """A slot for each destination, in arrays; written to the state in blocks of slots.

    Of more than `most` destinations the quarter that was silent longest is forgotten, in the
    order of their last window, then of their slots.
    """

    def __init__(self, state: State, most: int) -> None:
        self._state, self._most = state, most
        self._keys: list[str] = []
        self.slots: dict[str, int] = {}
        self._touched: set[int] = set()
        self._allocate(BLOCK)
        for number, name in enumerate(sorted(_blocks(state), key=_number)):
            self._load(number, state.frames(name)[0])

    def _allocate(self, size: int) -> None:
        self.mean, self.deviation = np.zeros((2, size, len(SERIES)))
        self.ramp = np.zeros(size)
        self.numbers = {name: np.zeros(size, np.int64) for name in NUMBERS}

    def _load(self, block: int, rows: pl.DataFrame) -> None:
        keys = rows["key"].to_list()
        self._reserve(len(self._keys) + len(keys))
        at = slice(block * BLOCK, block * BLOCK + len(keys))
        self.mean[at] = rows.select(pl.col("^mean_.*$")).to_numpy()
        self.deviation[at] = rows.select(pl.col("^deviation_.*$")).to_numpy()
        self.ramp[at] = rows["ramp"].to_numpy()
        for name, values in self.numbers.items():
            values[at] = rows[name].to_numpy()
        self.slots |= {key: at.start + n for n, key in enumerate(keys)}
        self._keys += keys

    def _reserve(self, count: int) -> None:
        short = count - len(self.ramp)
        if short > 0:
            more = max(short, len(self.ramp))
            self.mean, self.deviation = (
                np.concatenate([one, np.zeros((more, len(SERIES)))])
                for one in (self.mean, self.deviation)
            )
            self.ramp = np.concatenate([self.ramp, np.zeros(more)])
            self.numbers = {
                name: np.concatenate([one, np.zeros(more, np.int64)])
                for name, one in self.numbers.items()
            }

    def of(self, keys: Sequence[str]) -> Ints:
        """The slots of destinations; new ones get one."""
        for key in keys:
            if key not in self.slots:
                self.slots[key] = len(self._keys)
                self._keys.append(key)
        self._reserve(len(self._keys))
        return np.fromiter((self.slots[key] for key in keys), np.int64, len(keys))

    def usual(self, slots: Ints, warmup: int, whole: int | None) -> Usual:
        """What is usual; for a destination not known well, what is usual for the whole network."""
        windows = self.numbers["windows"]
        mean, deviation = self.mean[slots], self.deviation[slots]
        known = windows[slots] >= warmup
        if whole is not None and windows[whole] >= warmup:
            mean[~known], deviation[~known] = self.mean[whole], self.deviation[whole]
            known = np.ones_like(known)
        network = 0.0 if whole is None else np.expm1(self.mean[whole, OF_KIND]).sum()
        return Usual(mean, np.maximum(deviation, FLOOR), known, float(network))

    def learn(self, slots: Ints, values: Floats, wary: npt.NDArray[np.bool_], pace: float) -> None:
        """Take windows (k, SERIES) into the means; the first ones count alike."""
        seen = self.numbers["windows"][slots]
        far = np.where(seen < EARLY, np.inf, np.where(wary, WARY, CLIP))
        reach = far[:, None] * np.maximum(self.deviation[slots], FLOOR)
        step = np.maximum(pace, 1.0 / (seen + 1.0))[:, None]
        away = np.clip(values - self.mean[slots], -reach, reach)
        self.mean[slots] += step * away
        self.deviation[slots] += step * (MAD_TO_SIGMA * np.abs(away) - self.deviation[slots])
        self.numbers["windows"][slots] += 1

    def adopt(self, slots: Ints, values: Floats) -> None:
        """What these windows (k, SERIES) are like is usual from now on."""
        self.mean[slots], self.deviation[slots] = values, FLOOR
        self.numbers["strikes"][slots] = self.ramp[slots] = 0

    def touch(self, slots: Ints) -> None:
        """These have changed."""
        self._touched.update((slots // BLOCK).tolist())

    def drop_silent(self, kept: Sequence[str]) -> bool:
        """Forget the longest silent, all but `kept`, if there are too many: then slots change."""
        count = len(self._keys)
        if count <= self._most:
            return False
        last = self.numbers["last"][:count].copy()
        last[[self.slots[key] for key in kept if key in self.slots]] = np.iinfo(np.int64).max
        stay = np.sort(np.argsort(-last, kind="stable")[: self._most * 3 // 4])
        self.mean, self.deviation = self.mean[stay], self.deviation[stay]
        self.ramp = self.ramp[stay]
        self.numbers = {name: one[stay] for name, one in self.numbers.items()}
        self._keys = [self._keys[slot] for slot in stay]
        self.slots = {key: slot for slot, key in enumerate(self._keys)}
        for name in _blocks(self._state):
            self._state.drop(name)
        self._touched = set(range(-(-len(self._keys) // BLOCK)))
        return True

    def save(self) -> None:
        """Write the blocks that have changed to the state."""
        for block in sorted(self._touched):
            self._state.put(f"block{block}", self._frame(block))
        self._touched.clear()

    def _frame(self, block: int) -> pl.DataFrame:
        keys = self._keys[block * BLOCK : (block + 1) * BLOCK]
        at = slice(block * BLOCK, block * BLOCK + len(keys))
        columns = {"key": keys, "ramp": self.ramp[at].copy()}
        columns |= {name: one[at].copy() for name, one in self.numbers.items()}
        for n, name in enumerate(SERIES):
            columns[f"mean_{name}"] = self.mean[at, n].copy()
            columns[f"deviation_{name}"] = self.deviation[at, n].copy()
        return pl.DataFrame(columns)


def _blocks(state: State) -> list[str]:
    return [name for name in state.names() if name.startswith("block")]


def _number(name: str) -> int:
    return int(name.removeprefix("block"))


def pace(memory: Micros, size: Micros) -> float:
    """The weight of a new window, so that half of what is usual is from the last `memory`."""
    return float(1.0 - 0.5 ** (size / memory))
