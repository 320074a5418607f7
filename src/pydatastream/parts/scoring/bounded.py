"""How many keys a step remembers: of too many, those least at work are forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import polars as pl

from pydatastream.core.state import State

KEYS, ROWS = "keys", "rows_of_keys"
LAST, TURNS, BIT = "__last", "__turns", "__bit"
HISTORY = 64
"""In how many of so many last turns a key came, a bit each, says how much it is at work."""
SHARE = 2
"""A turn has this part of as many rows as keys are remembered."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Keeps the keys in a state to `most`, counted at the end of each turn of `most` / 2 rows.

    Of more the first to go came in the fewest of the last 64 turns; of equals the one not seen
    for longest. So a flood of keys that come once forgets no key that comes again and again.
    Turns are counted from the first row, so that it does not matter where batches were cut.
    State: `keys`, a row per key (and up to half as many more within a turn), and a count of rows.

    References: Denning (1968), The Working Set Model for Program Behavior, CACM 11; O'Neil,
    O'Neil, Weikum (1993), The LRU-K Page Replacement Algorithm, SIGMOD (against floods).
    """

    by: tuple[str, ...]
    most: int

    @property
    def turn(self) -> int:
        """Rows of a turn."""
        return max(1, self.most // SHARE)

    def pieces(self, values: pl.DataFrame, state: State) -> list[pl.DataFrame]:
        """The rows of a batch, cut at the ends of turns if keys may have to be forgotten."""
        if self._fits(values, state):
            return [values]
        first = self.turn - self._rows(state) % self.turn
        starts = [0, *range(first, values.height, self.turn), values.height]
        return [values[start:end] for start, end in pairwise(starts)]

    def came(self, piece: pl.DataFrame, state: State) -> pl.DataFrame:
        """Take note of a piece's keys; gives those that are forgotten, and leaves none of them."""
        start = self._rows(state)
        state.values[ROWS] = end = start + piece.height
        row = pl.int_range(start, end, dtype=pl.Int64)
        ages = (end - 1) // self.turn - row // self.turn
        keys = piece.select(*self.by, row.alias(LAST), _left(pl.lit(1, pl.UInt64), ages))
        state.append(KEYS, self._one_each(keys, end))
        base, *others = (frame.height for frame in state.frames(KEYS))
        if sum(others) >= base:
            self._known(state)
        if end % self.turn or self._at_most(state) <= self.most:
            return keys.select(self.by).clear()
        return self._forget(state, end)

    def _fits(self, rows: pl.DataFrame, state: State) -> bool:
        """Whether all keys can be remembered after these rows."""
        if self._at_most(state) + rows.height <= self.most:
            return True
        keys = rows.select(self.by).unique()
        if not state.frames(KEYS):
            return keys.height <= self.most
        known = self._known(state)
        new = keys.join(known, on=self.by, how="anti", nulls_equal=True)
        return known.height + new.height <= self.most

    def _forget(self, state: State, now: int) -> pl.DataFrame:
        """Leave `most` keys in the state; gives the others."""
        ordered = self._known(state).sort(self._anchored(now).bitwise_count_ones(), LAST)
        gone = ordered[: max(0, ordered.height - self.most)].select(self.by)
        if gone.height:
            state.put(KEYS, ordered[gone.height :])
            for name in state.names():
                _leave_out(state, name, gone)
        return gone

    def _known(self, state: State) -> pl.DataFrame:
        """What is known of each key, in one frame."""
        now, known = self._rows(state), pl.concat(state.frames(KEYS))
        if len(state.frames(KEYS)) > 1:
            known = self._one_each(known.with_columns(self._anchored(now).alias(BIT)), now)
            state.put(KEYS, known)
        return known

    def _one_each(self, rows: pl.DataFrame, now: int) -> pl.DataFrame:
        """One row per key; of its bits the first is for the turn of its last row."""
        joined = rows.group_by(self.by).agg(pl.col(LAST).max(), pl.col(BIT).bitwise_or())
        ages = (now - 1) // self.turn - pl.col(LAST) // self.turn
        bits = pl.col(BIT) // pl.lit(2, pl.UInt64).pow(ages.clip(0, HISTORY - 1))
        return joined.select(*self.by, LAST, bits.alias(TURNS))

    def _anchored(self, now: int) -> pl.Expr:
        """The bits of a key, the first for the turn under way."""
        return _left(pl.col(TURNS), (now - 1) // self.turn - pl.col(LAST) // self.turn)

    def _at_most(self, state: State) -> int:
        return sum(frame.height for frame in state.frames(KEYS))

    def _rows(self, state: State) -> int:
        return int(state.values.get(ROWS, 0))


def _left(bits: pl.Expr, places: pl.Expr) -> pl.Expr:
    """Bits moved to older turns; those beyond the last are gone."""
    moved = bits * pl.lit(2, pl.UInt64).pow(places.clip(0, HISTORY - 1))
    return pl.when(places < HISTORY).then(moved).otherwise(pl.lit(0, pl.UInt64)).alias(BIT)


def _leave_out(state: State, name: str, gone: pl.DataFrame) -> None:
    """Take all rows of these keys out of what a name holds."""
    rows, by = state.frame(name), gone.columns
    if rows is not None and name != KEYS and set(by) <= set(rows.columns):
        left = rows.join(gone, on=by, how="anti", nulls_equal=True, maintain_order="left")
        state.put(name, left)
