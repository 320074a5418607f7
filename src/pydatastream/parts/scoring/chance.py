"""Random numbers for models: the same for a seed in every version of NumPy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Chance:
    """A row of random numbers that a seed fixes.

    Only the bits of the generator are NumPy's, whose stream it promises never to change.

    References: O'Neill (2014), PCG: A Family of Simple Fast Space-Efficient Statistically Good
    Algorithms for Random Number Generation.
    """

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def uniform(self, *shape: int) -> Floats:
        """Numbers in [0, 1)."""
        raw = self._bits.random_raw(int(np.prod(shape)))
        return (np.asarray(raw >> np.uint64(11)) * 2.0**-53).reshape(shape)

    def below(self, limit: int, *shape: int) -> npt.NDArray[np.intp]:
        """Whole numbers from 0 up to `limit`, without it."""
        return (self.uniform(*shape) * limit).astype(np.intp)

    def normal(self, *shape: int) -> Floats:
        """Standard normal numbers, by the method of Box and Muller (1958)."""
        radius = np.sqrt(-2.0 * np.log(1.0 - self.uniform(*shape)))
        return np.asarray(radius * np.cos(2.0 * np.pi * self.uniform(*shape)))
