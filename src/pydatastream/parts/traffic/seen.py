"""Sources that were seen before, within a while."""

from __future__ import annotations

import polars as pl

from pydatastream.core.state import State
from pydatastream.core.times import Micros
from pydatastream.parts.traffic.features import NEW, SEEN, WINDOW, YOUNG

NAME, FIRST, LAST, BEFORE = "seen", "__first", "__last", "__before"
YOUTH: Micros = 60 * 10**6
"""A source is young for a minute after it was new."""
VERSION = "polars"


class Seen:
    """Remembers, by a hash, when each source was last seen: at most so many.

    When there are more after a window, a third is forgotten: those not seen for longest; of
    equals the one with the least hash stays. Windows are taken together as long as there
    cannot be too many, so the result does not depend on how many are asked about at once.
    """

    def __init__(self, state: State, memory: Micros, most: int) -> None:
        self._state, self._memory, self._most = state, memory, most
        if state.values.setdefault(VERSION, pl.__version__) != pl.__version__:
            state.drop(NAME)  # another version may hash otherwise
            state.values[VERSION] = pl.__version__

    def mark(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """Windows and sources, each pair once, with NEW: not seen for a while before."""
        known, parts = self._known(), []
        counts = pairs.group_by(WINDOW).len().sort(WINDOW).rows() if pairs.height else []
        while counts:
            until = self._together(counts, self._most - known.height)
            group = pairs if until is None else pairs.filter(pl.col(WINDOW) < until)
            pairs = pairs[:0] if until is None else pairs.filter(pl.col(WINDOW) >= until)
            counts = [one for one in counts if until is not None and one[0] >= until]
            marked, known = self._step(group, known)
            known = self._cut(known)
            parts.append(marked)
        self._state.put(NAME, known)
        return pl.concat(parts) if parts else self._step(pairs, known)[0]

    def _together(self, counts: list[tuple[Micros, int]], room: int) -> Micros | None:
        """The first window that is not taken together with the first of these; None: all are."""
        for number, (window, count) in enumerate(counts):
            room -= count
            if room < 0 and number:
                return window
        return None

    def _known(self) -> pl.DataFrame:
        found = self._state.frame(NAME)
        types = {SEEN: pl.UInt64, FIRST: pl.Int64, LAST: pl.Int64}
        return pl.DataFrame(schema=types) if found is None else found

    def _step(self, pairs: pl.DataFrame, known: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Whether each is new, and what is known then."""
        is_same = pl.col(SEEN) == pl.col(SEEN).shift(1)
        before = pl.when(is_same).then(pl.col(WINDOW).shift(1)).alias(BEFORE)
        ordered = pairs.sort(SEEN, WINDOW).with_columns(before)
        joined = ordered.join(known, on=SEEN, how="left", maintain_order="left")
        last = pl.coalesce(BEFORE, LAST)
        new = (last.is_null() | (pl.col(WINDOW) - last > self._memory)).alias(NEW)
        start = pl.when(NEW).then(pl.col(WINDOW)).when(~is_same.fill_null(False)).then(FIRST)
        first = start.forward_fill().alias(FIRST)
        marked = joined.with_columns(new).with_columns(first)
        young = (pl.col(WINDOW) - pl.col(FIRST) <= YOUTH).alias(YOUNG)
        ends = (pl.col(SEEN) != pl.col(SEEN).shift(-1)).fill_null(True)
        latest = marked.filter(ends).select(SEEN, FIRST, pl.col(WINDOW).alias(LAST))
        others = known.filter(~pl.col(SEEN).is_in(latest[SEEN].implode()))
        every = pl.concat([others, latest])
        now = int(pairs[WINDOW].max() or 0)  # type: ignore[arg-type]
        return marked.select(WINDOW, SEEN, NEW, young), self._fresh(every, now)

    def _fresh(self, known: pl.DataFrame, now: Micros) -> pl.DataFrame:
        return known.filter(pl.col(LAST) >= now - self._memory)

    def _cut(self, known: pl.DataFrame) -> pl.DataFrame:
        if known.height <= self._most:
            return known
        order = [LAST, SEEN]
        return known.sort(order, descending=[True, False]).head(self._most * 2 // 3)
