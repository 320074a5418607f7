"""The sum over the rows just before each row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydatastream.parts.windows.rolled import Rolled

COLUMN = "rolling_sum"


class RollingSum(Rolled):
    """Add to each row the sum of a column over its last rows, as `rolling_sum`.

    It is `rolling` with one aggregate: with `rows: 10` over the last 10 rows of the key, with
    `within: 5m` over event time (t - 5m, t]. Null and NaN are skipped.
    State: per key the last rows - 1 values, or those of the last `within`.
    """

    example: ClassVar[str] = "- rolling_sum: {column: n, rows: 10, by: [device_id]}"

    column: str = "temperature"
    """The column of numbers."""

    def asked(self) -> Mapping[str, str]:
        """The one column to add."""
        name = self.column.replace('"', '""')
        return {COLUMN: f'sum("{name}")'}
