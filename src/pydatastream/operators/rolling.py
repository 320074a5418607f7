"""Aggregates over the rows just before each row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from pydatastream.parts.windows.rolled import Rolled


class Rolling(Rolled):
    """Add to each row aggregates over the rows of its key just before it, and itself.

    With `rows: n` over the last n rows in the order in which they come, at once. With
    `within: 5m` over event time (t - 5m, t]; rows are then given in the order of event time,
    once the watermark has passed them by `lateness`, and rows older than that go to `late`.
    Functions: sum, avg, min, max, stddev (of a sample), count. Null and NaN are skipped; a sum
    of nothing is 0, its mean null. Sums are compensated: exact to about 16 digits of the
    greatest value that is, or has just been, in the window.
    State: per key the last n - 1 rows, or those of the last `within`.
    """

    spread: ClassVar[str | None] = "aggregate"
    example: ClassVar[str] = (
        "- rolling: {rows: 10, by: [device_id], aggregate: {smooth: avg(temperature)}}"
    )

    aggregate: dict[str, str] = Field(min_length=1)
    """Columns to add: a name and an aggregate, `smooth: avg(temperature)`."""

    def asked(self) -> Mapping[str, str]:
        """The columns to add."""
        return self.aggregate
