"""Rows in the order of a column: read range by range, so that each can be read again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Protocol

from pydatastream.core.batch import Batch, Offset
from pydatastream.core.format import Decoded
from pydatastream.core.source import Read

PORTION = 50_000
"""Rows that are fetched at once: enough that the cost of a call does not show."""


class Ranges(Protocol):
    """What can be asked of a place whose rows have an order.

    A range is what is greater than `after` and not greater than `upto`; None: no limit.
    """

    def between(self, after: Any, upto: Any) -> Decoded: ...
    def greatest(self, after: Any = None, upto: Any = None) -> Any: ...
    def portion(self, after: Any, upto: Any, rows: int) -> Any: ...
    def pack(self, value: Any) -> Any: ...
    def unpack(self, value: Any) -> Any: ...
    def horizon(self) -> int | None: ...
    def passed(self, horizon: int | None) -> bool: ...
    def close(self) -> None: ...


class RangeReader:
    """Reads ranges one after the other; with a pace, it goes on with what is new.

    The pace is (lag, every), in seconds: rows are read once their value has been passed for
    `lag`, and it is looked for new ones `every` so often.
    """

    def __init__(self, ranges: Ranges, job: Read, pace: tuple[float, float] | None) -> None:
        self._ranges, self._job = ranges, job
        resume: Offset = job.resume or {"after": None, "rows": 0}
        self._after, self._count = ranges.unpack(resume["after"]), resume["rows"]
        self._polls = pace is not None and job.until is None
        self._lag, self._every = pace or (0.0, 0.0)
        self._seen: deque[tuple[float, Any, int | None]] = deque()
        self._looked = 0.0

    def __iter__(self) -> Iterator[Batch | None]:
        yield from self._upto(self._end())
        while self._polls:
            settled = self._settled()
            if settled is None:
                yield None
            else:
                yield from self._upto(settled)

    def commit(self, offset: Offset) -> None:
        """Nothing to do: the rows stay."""

    def close(self) -> None:
        self._ranges.close()

    def _end(self) -> Any:
        if self._job.until:
            return self._ranges.unpack(self._job.until["after"])
        return None if self._polls else self._ranges.greatest(self._after)

    def _upto(self, end: Any) -> Iterator[Batch]:
        """The rows up to a value, in portions that end where a value does."""
        rows = min(self._job.rows, PORTION)
        while end is not None and self._after != end:
            upto = self._ranges.portion(self._after, end, rows)
            if upto is None:
                return
            found = self._ranges.between(self._after, upto)
            self._after = upto
            self._count += found.rows.height + found.dead.height
            yield Batch(
                found.rows, {"after": self._ranges.pack(upto), "rows": self._count}, found.dead
            )

    def _settled(self) -> Any:
        """Up to which value no row can come any more; None: nothing new, or not yet."""
        self._look()
        settled = None
        while self._seen and self._is_over(*self._seen[0]):
            settled = self._seen.popleft()[1]
        return settled

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked < self._every:
            return time.sleep(min(0.05, self._every))
        self._looked = now
        last = self._seen[-1][1] if self._seen else self._after
        greatest = self._ranges.greatest(last)
        if greatest is not None:
            self._seen.append((now, greatest, self._ranges.horizon()))
        return None

    def _is_over(self, seen: float, _value: Any, horizon: int | None) -> bool:
        return time.monotonic() - seen >= self._lag and self._ranges.passed(horizon)
