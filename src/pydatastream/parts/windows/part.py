"""A part of a state, for a kernel within a kernel."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from pydatastream.core.state import State


class Part(State):
    """The names that begin with a prefix, seen without it; the values are those of the whole.

    >>> whole = State()
    >>> Part(whole, "inner/").append("seen", pl.DataFrame({"id": [1]}))
    >>> whole.names(), Part(whole, "inner/").names()
    (['inner/seen'], ['seen'])
    """

    def __init__(self, whole: State, prefix: str) -> None:
        self._whole, self._prefix = whole, prefix
        self.values = whole.values

    def names(self) -> list[str]:
        """The names of this part."""
        start = self._prefix
        return [name.removeprefix(start) for name in self._whole.names() if name.startswith(start)]

    def frames(self, name: str) -> list[pl.DataFrame]:
        """The segments of a name."""
        return self._whole.frames(self._prefix + name)

    def append(self, name: str, rows: pl.DataFrame) -> None:
        """Add rows."""
        self._whole.append(self._prefix + name, rows)

    def put(self, name: str, rows: Iterable[pl.DataFrame] | pl.DataFrame) -> None:
        """Replace all rows of a name."""
        self._whole.put(self._prefix + name, rows)

    def drop(self, name: str) -> None:
        """Forget a name."""
        self._whole.drop(self._prefix + name)
