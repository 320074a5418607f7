"""Aggregates by key, kept as partial results that merge: what every window stands on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import polars as pl
from pydantic import BeforeValidator

from pydatastream.core.batch import Refused
from pydatastream.core.state import State
from pydatastream.parts.sql.aggregates import Aggregation

FAN_IN = 16
"""So many partial results of one name are kept before they are merged."""
SMALL = 1 << 17
"""Fewer partial rows than this are merged without asking whether that makes them fewer."""
SHARD = 1 << 19
"""Above so many rows a merge goes in parts: 10 M keys took 2.0 s instead of 3.4 s."""
WORTHWHILE = 0.8
"""A merge that leaves more than this share of the rows is put off."""
ALL, PART = "__all", "__part"
KEY, PLACE = "__key", "__place"
EVERYTHING = pl.lit(0, pl.Int8).alias(ALL)
"""The key of windows that have none."""

Names = Annotated[
    list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)
]
"""Column names; a single one may stand without brackets."""

Nulls = Literal["refuse", "keep"]


@dataclass(frozen=True, slots=True)
class Keyed:
    """Partial aggregates of the rows that have the same values in the columns `by`.

    A partial frame has the columns `by`, then those of `aggregation.partial`. Groups come in
    the order in which they were first seen, so that the same batches give the same rows.
    """

    by: tuple[str, ...]
    aggregation: Aggregation

    @property
    def keys(self) -> list[str]:
        """The key columns of a partial frame; without any, a constant one."""
        return list(self.by) or [ALL]

    def ready(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows with all key columns."""
        return rows if self.by else rows.with_columns(EVERYTHING)

    def together(self, rows: pl.DataFrame, *order: str) -> pl.DataFrame:
        """Rows of a key next to each other, in `order` and otherwise as they came.

        Adds PLACE, where a row stood, and KEY, where the first row of its key stood. What
        follows needs no work group by group: 1,000 groups cost 10 ms in an `over`.
        """
        rows = self.ready(rows).with_columns(pl.int_range(pl.len()).alias(PLACE))
        first = pl.col(PLACE).min().over(self.keys).alias(KEY)
        return rows.with_columns(first).sort(KEY, *order, maintain_order=True)

    def partial(
        self, rows: pl.DataFrame, *more: str | pl.Expr, extra: Iterable[pl.Expr] = ()
    ) -> pl.DataFrame:
        """One partial row per group; `more` are further columns to group by, put first.

        `extra` are aggregates of the window's own, put before the partial columns.
        """
        by, aggregation = self.by or (EVERYTHING,), self.aggregation
        ready = rows.lazy().with_columns(aggregation.prepare)
        grouped = ready.group_by(*more, *by, maintain_order=True)
        return grouped.agg(*extra, *aggregation.partial).collect(engine="in-memory")

    def merged(
        self, frames: Sequence[pl.DataFrame], *more: str, extra: Iterable[pl.Expr] = ()
    ) -> pl.DataFrame:
        """Partial rows with one per group again."""
        return pl.concat(list(self.parts(frames, *more, extra=extra)))

    def parts(
        self, frames: Sequence[pl.DataFrame], *more: str, extra: Iterable[pl.Expr] = ()
    ) -> Iterator[pl.DataFrame]:
        """The same, in parts that fit the processor's caches; no group is in two parts."""
        rows = pl.concat(frames)
        merge = [*extra, *self.aggregation.merge]
        for shard in self._shards(rows):
            yield shard.group_by(*more, *self.keys, maintain_order=True).agg(merge)

    def _shards(self, rows: pl.DataFrame) -> list[pl.DataFrame]:
        count = min(math.ceil(rows.height / SHARD), 250)
        if count < 2:
            return [rows]
        shard = (self._hash() % count).cast(pl.UInt8).alias(PART)
        shards = rows.with_columns(shard).partition_by(PART, maintain_order=False)
        shards.sort(key=lambda rows: int(rows.item(0, PART)))
        return [rows.drop(PART) for rows in shards]

    def _hash(self) -> pl.Expr:
        """A number for the key, the same in every process."""
        keys = self.keys
        return (pl.col(keys[0]) if len(keys) == 1 else pl.struct(keys)).hash(7)

    def append(self, state: State, name: str, rows: pl.DataFrame) -> None:
        """Remember partial rows under a name, without touching the rows before.

        When there are many segments the newest are merged, as far back as they outweigh what
        stands before them: each row is merged a logarithmic number of times.
        """
        state.append(name, rows)
        count = len(state.frames(name))
        if count >= FAN_IN and count & (count - 1) == 0:
            self._compact(state, name)

    def _compact(self, state: State, name: str) -> None:
        base, pending, rows = state.frames(name), list[pl.DataFrame](), 0
        while base and (not pending or base[-1].height <= rows):
            pending.insert(0, base.pop())
            rows += pending[0].height
        if len(pending) > 1 and self._shrinks(pending, rows):
            state.put(name, [*base, self.merged(pending)])

    def _shrinks(self, frames: Sequence[pl.DataFrame], rows: int) -> bool:
        if rows < SMALL:
            return True
        hashes = pl.concat([frame.select(self._hash()) for frame in frames])
        return int(hashes.select(pl.all().approx_n_unique()).item()) < WORTHWHILE * rows

    def count(self, frames: Iterable[pl.DataFrame]) -> int:
        """How many input rows stand behind partial rows."""
        return sum(int(frame.get_column(self.aggregation.count).sum()) for frame in frames)

    def held(self, state: State) -> int:
        """How many input rows stand behind a whole state."""
        return sum(self.count(state.frames(name)) for name in state.names())


def refuse_nulls(
    rows: pl.DataFrame, by: Iterable[str], time: str | None = None
) -> tuple[pl.DataFrame, list[Refused]]:
    """Rows without null in the columns `by`, nor in `time`; and the others, with the reason."""
    refused = []
    reasons = {name: f"key {name} is null" for name in by}
    if time is not None:
        reasons |= {time: f"event time {time} is null"}
    for name, reason in reasons.items():
        if rows.get_column(name).null_count():
            refused.append(Refused(rows.filter(pl.col(name).is_null()), reason))
            rows = rows.filter(pl.col(name).is_not_null())
    return rows, refused
