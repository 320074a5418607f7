"""Models that learn a block of rows at a time, and score each row at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np

from pydatastream.parts.scoring.models import Array, Model

TILE = 32
"""Rows of a matrix product are computed alike only where the count divides by the kernel's tile."""

ALONE = 1 << 18
"""Multiplications up to which OpenBLAS stays in one thread: waking others costs more than these."""


def product(left: Array, right: Array) -> Array:
    """The product of many rows with a small matrix, without starting threads."""
    rows = max(TILE, ALONE // right.size // TILE * TILE)
    parts = [left[start : start + rows] @ right for start in range(0, len(left), rows)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


class BlockModel(Model):
    """Learns rows in blocks of `size`, and scores each by the blocks before its own.

    The rows of the block under way stand in a buffer of fixed shape, each at the place it has
    in its block, and it is the whole buffer that is scored: the same instructions on the same
    shapes give the same bits, however the rows came. Cost per call: that of one block at least.
    """

    def __init__(self, size: int, width: int) -> None:
        self.size, self.width = size, width
        self.buffer = np.zeros((-(-size // TILE) * TILE, width))
        self.filled = 0
        self.blocks = 0
        """How many have been learnt."""

    @abstractmethod
    def score(self, rows: Array) -> Mapping[str, Array]:
        """What is said of rows, shape (n, d), each by itself; it changes nothing."""

    @abstractmethod
    def learn_block(self, rows: Array) -> None:
        """Learn from a whole block, shape (size, d)."""

    def step(self, values: Array, *, learn: bool) -> Mapping[str, Array]:
        found = []
        start = 0
        while start < len(values):
            taken = values[start : start + self.size - self.filled]
            found.append(self._placed(taken, learn=learn))
            start += len(taken)
        return {name: np.concatenate([one[name] for one in found]) for name in found[0]}

    def _placed(self, rows: Array, *, learn: bool) -> Mapping[str, Array]:
        """Score rows that do not reach beyond their block, at their places in it."""
        place = slice(self.filled, self.filled + len(rows))
        self.buffer[place] = rows
        found = {name: column[place] for name, column in self.score(self.buffer).items()}
        self.filled = place.stop % self.size
        if not self.filled and learn:
            self.learn_block(self.buffer[: self.size])
            self.blocks += 1
        return found

    def arrays(self) -> Mapping[str, Array]:
        counts = np.array([self.filled, self.blocks])
        return {"buffer": self.buffer[: self.size], "counts": counts, **self.learnt()}

    def restore(self, arrays: Mapping[str, Array]) -> None:
        self.buffer[: self.size] = arrays["buffer"].reshape(self.size, self.width)
        self.filled, self.blocks = map(int, arrays["counts"])
        self.relearn({name: np.array(one) for name, one in arrays.items()})

    @abstractmethod
    def learnt(self) -> Mapping[str, Array]:
        """What has been learnt, in arrays of fixed shape and type."""

    @abstractmethod
    def relearn(self, arrays: Mapping[str, Array]) -> None:
        """Take up what `learnt` gave, flat."""
