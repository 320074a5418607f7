"""What a stream holds: its newest entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from pydatastream.parts.redis.entries import Entries, Entry
from pydatastream.parts.redis.line import Line

PORTION = 10_000
"""Entries that are asked for at once."""


@dataclass(slots=True)
class StreamView:
    """The newest entries of a stream; what was read once is not asked for again."""

    line: Line
    stream: str
    entries: Entries
    schema: pl.Schema
    rows: int
    _known: pl.DataFrame = field(init=False)
    _last: bytes | None = None

    def __post_init__(self) -> None:
        self._known = pl.DataFrame(schema=self.schema)

    def latest(self) -> pl.DataFrame:
        """At most `rows`, oldest first."""
        found = self._newest() if self._last is None else self._newer(self._last)
        if found:
            self._last = found[-1][0]
            self._known = pl.concat([self._known, self.entries.read(found).rows]).tail(self.rows)
        return self._known

    def close(self) -> None:
        """Hang up."""
        self.line.close()

    def _newest(self) -> Sequence[Entry]:
        """From the end backwards, in portions: one long reply would keep the server busy."""
        found, before = list[Entry](), "+"
        while len(found) < self.rows:
            count = min(PORTION, self.rows - len(found))
            some = self.line.ask("XREVRANGE", self.stream, before, "-", "COUNT", count)
            found += some
            if len(some) < count:
                break
            before = f"({some[-1][0].decode()}"
        return found[::-1]

    def _newer(self, last: bytes) -> Sequence[Entry]:
        """What came since; of very much, only the newest."""
        behind = f"({last.decode()}"
        found: list[Entry] = self.line.ask(
            "XREVRANGE", self.stream, "+", behind, "COUNT", self.rows
        )
        return found[::-1]
