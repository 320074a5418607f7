"""The numbers a detector judges: finite ones, beside their key and event time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import polars as pl

from pydatastream.core.operator import EventTime
from pydatastream.core.state import State
from pydatastream.parts.windows.keyed import ALL, EVERYTHING

LARGEST = 1e100
"""Greater numbers count as missing: their squares must not become infinite."""
VALUE, TIME = "__v0", "__time"
"""The first column of values, and event time in microseconds."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a detector looks at: keys, columns of values, event time; and whether it learns."""

    by: tuple[str, ...]
    columns: tuple[str, ...]
    time: EventTime | None = None
    learn: bool = True

    @property
    def keys(self) -> list[str]:
        """The key columns; without any, a constant one."""
        return list(self.by) or [ALL]

    @property
    def values(self) -> list[str]:
        """What the columns of values are called in a frame of values: `__v0`, `__v1`, ..."""
        return [f"__v{number}" for number in range(len(self.columns))]

    def of(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The keys, the values as floats with null where one is missing, and the time."""
        values = [
            pl.col(column).cast(pl.Float64).alias(name)
            for column, name in zip(self.columns, self.values, strict=True)
        ]
        times = [self.time.micros().alias(TIME)] if self.time else []
        return rows.select(*(self.by or (EVERYTHING,)), *values, *times)

    def usable(self) -> pl.Expr:
        """Whether nothing is missing, in a frame of values."""
        times = [pl.col(TIME).is_not_null()] if self.time else []
        return pl.all_horizontal(*map(known, self.values), *times)


def known(name: str) -> pl.Expr:
    """Whether a value is a number that can be judged; NaN is greater than any number."""
    return (pl.col(name).abs() <= LARGEST).fill_null(False)


def spread_out(found: pl.DataFrame, usable: pl.Series) -> pl.DataFrame:
    """What was found for the usable rows, with null for the others between them."""
    place = usable.cum_sum().cast(pl.Int64) - 1
    return found.select(pl.all().gather(place.set(~usable, None)))


class Algorithm(ABC):
    """How rows are scored; it remembers nothing outside the state.

    `values` holds usable rows only, in the order of arrival: the columns of `Form.of`. The
    answer has a row for each, in the same order: `score`, and what explains it. The state is
    touched last, and not at all by an algorithm that does not learn. The same rows give the
    same bits, however the stream was cut. Every frame in the state has the columns of the key.
    """

    @abstractmethod
    def score(self, values: pl.DataFrame, state: State) -> pl.DataFrame:
        """Score rows by what was learnt before each of them, and learn from them."""

    def forget(self, keys: pl.DataFrame) -> None:  # noqa: B027 - few keep anything beside the state
        """These keys have left the state; what is kept beside it must go, too."""
