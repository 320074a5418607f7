"""Statistics of one column that follow each key row by row, computed by Polars over the keys.

For the same bits in any cut: no rolling means (Polars slides their sums), and no division by a
constant (it multiplies by the reciprocal, but not where a frame has one row).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from pydatastream.core.state import State
from pydatastream.parts.scoring.values import VALUE, Algorithm, Form, spread_out

PAST = "past"
COUNT, OLD = "__n", "__old"
"""How many rows of the key have been learnt; whether a row is one that is remembered."""
KEY, TURN = "__key", "__turn"
"""The number of a row's key, and when it came."""

ROUNDING = 1e-12
"""So small a share of what was expected is no difference."""

FIRST, MEAN, VARIANCE = "first", "mean", "variance"

V = pl.col(VALUE)
N = pl.col(COUNT)


@dataclass(frozen=True, slots=True)
class Stage:
    """Columns computed, in one go, from those of the stages before.

    Over the rows of each key, and of each value of the columns `within` apart; or each row
    for itself and those next to it (`previous`), which costs little however many keys there are.
    """

    columns: Sequence[pl.Expr]
    within: Sequence[str] = ()
    over: bool = True


def before(name: str) -> pl.Expr:
    """A statistic as it stood after the row of the key before."""
    return pl.col(f"__before_{name}")


def previous(column: pl.Expr) -> pl.Expr:
    """A column in the row of the same key before, where that is there."""
    return pl.when(pl.col(KEY) == pl.col(KEY).shift(1)).then(column.shift(1))


LEARNT = before(COUNT)
"""How many rows of the key have been learnt before this one."""


def warm(warmup: int, score: pl.Expr) -> pl.Expr:
    """The score, once so many rows of the key have been learnt."""
    return pl.when(LEARNT.ge(warmup)).then(score).alias("score")


def apart(value: pl.Expr, expected: pl.Expr, spread: pl.Expr) -> pl.Expr:
    """How far a value is from what was expected, in spreads; infinite where there was none."""
    away = (value - expected).abs()
    return pl.when(away <= ROUNDING * expected.abs()).then(0.0).otherwise(away / spread)


def ewm(value: pl.Expr, alpha: float) -> pl.Expr:
    """The recursion y = (1 - alpha) y + alpha x, the same bits from wherever it resumes."""
    return value.ewm_mean(alpha=alpha, adjust=False, ignore_nulls=True)


def resumed(name: str, value: pl.Expr) -> pl.Expr:
    """The input of a recursion: where it resumes, its last result stands for its next input."""
    return pl.when(OLD).then(pl.col(name)).otherwise(value)


def means(value: pl.Expr, alpha: float) -> list[Stage]:
    """The exponentially weighted mean of a column; it needs what stands in MEANS.

    Weights fall by 1 - alpha from row to row and are divided by their sum, so that the mean is
    right from the first row on. What is carried is the undivided one, `raw(...)`, of the
    distance from the first value: of a constant it is exact, and large numbers lose nothing.
    """
    above = value - pl.col(FIRST)
    return [
        Stage([resumed(FIRST, value).first().alias(FIRST)]),
        *_summed(MEAN, pl.when(N == 1).then(above * alpha).otherwise(above), alpha),
        Stage([(pl.col(FIRST) + pl.col(raw(MEAN)) / _weights(alpha)).alias(MEAN)], over=False),
    ]


def moments(value: pl.Expr, alpha: float) -> list[Stage]:
    """The exponentially weighted mean and variance of a column; they need MOMENTS.

    References: West (1979), Updating Mean and Variance Estimates: An Improved Method, CACM 22;
    Finch (2009), Incremental calculation of weighted mean and variance, section 9.
    """
    away = ((value - previous(pl.col(MEAN))) * (value - pl.col(MEAN))).clip(0)
    variance = pl.col(raw(VARIANCE)) / _weights(alpha)
    return [
        *means(value, alpha),
        *_summed(VARIANCE, pl.when(N == 1).then(0.0).otherwise(away), alpha),
        Stage([variance.alias(VARIANCE)], over=False),
    ]


def _summed(name: str, term: pl.Expr, alpha: float) -> list[Stage]:
    column = raw(name)
    return [
        Stage([resumed(column, term).alias(column)], over=False),
        Stage([ewm(pl.col(column), alpha).alias(column)]),
    ]


def _weights(alpha: float) -> pl.Expr:
    """The sum of the weights of all rows so far."""
    return 1 - pl.lit(1 - alpha).pow(N)


def raw(name: str) -> str:
    """The column that carries the undivided sum of weighted terms."""
    return f"{name}_raw"


MEANS = (FIRST, MEAN, raw(MEAN))
MOMENTS = (*MEANS, VARIANCE, raw(VARIANCE))
"""The statistics of `means` and `moments`."""


@dataclass(frozen=True, slots=True)
class Following(Algorithm):
    """Finds columns for each row from statistics that follow the rows of its key.

    State: under `name` the last `tail` rows of each key with their statistics and the columns
    `also`. Cost per batch grows with the keys.
    """

    form: Form
    learnt: Sequence[Stage]
    """How a row changes the statistics."""
    statistics: Sequence[str]
    """The columns by which rows are judged: `before(name)` is what stood before the row."""
    verdict: Sequence[Sequence[pl.Expr]]
    """What a row gives, each list of columns from those before."""
    tail: int = 1
    also: Sequence[str] = ()
    name: str = PAST

    def score(self, values: pl.DataFrame, state: State) -> pl.DataFrame:
        """The verdict on each row, and the statistics after it."""
        past, others = self._past(values, state)
        rows = self._together(past, values.with_columns(pl.lit(False).alias(OLD)))
        if self.form.learn:
            rows = self._after(rows)
            state.put(self.name, pl.concat([others, self._last(rows)]))
        rows = rows.with_columns(self._before()).filter(~pl.col(OLD))
        rows = rows.with_columns(LEARNT.fill_null(0))
        for columns in self.verdict:
            rows = rows.with_columns(columns)
        found = [one.meta.output_name() for columns in self.verdict for one in columns]
        rows = rows.select(TURN, *dict.fromkeys([*self.statistics, *found]))
        return rows.sort(TURN) if self.form.by else rows

    def _together(self, past: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
        """The rows of a key next to each other, what is remembered first: KEY numbers them.

        Over neighbours all that follows needs no hash of the keys: four times as fast.
        """
        rows = pl.concat([past, new], how="diagonal").rechunk().with_row_index(TURN)
        if not self.form.by:
            return rows.with_columns(pl.lit(0).alias(KEY))
        key = pl.col(TURN).min().over(self.form.by).alias(KEY)
        return rows.with_columns(key).sort(KEY, maintain_order=True)

    def _before(self) -> list[pl.Expr]:
        names = (COUNT, *self.statistics)
        if self.form.learn:
            return [previous(pl.col(name)).alias(f"__before_{name}") for name in names]
        return self._over([pl.col(name).forward_fill().alias(f"__before_{name}") for name in names])

    def _past(self, values: pl.DataFrame, state: State) -> tuple[pl.DataFrame, pl.DataFrame]:
        """What is remembered of the keys in a batch, and of the others."""
        known = state.frame(self.name)
        if known is None:
            columns = dict.fromkeys(self._kept(), pl.Float64())
            schema = {**values.select(self.form.keys).schema, COUNT: pl.Int64(), **columns}
            known = pl.DataFrame(schema=schema)
        old = known.with_columns(pl.lit(True).alias(OLD))
        if not self.form.by:
            return old, known.clear()
        by, keys = self.form.keys, values.select(self.form.keys).unique()
        here = old.join(keys, on=by, how="semi", nulls_equal=True, maintain_order="left")
        return here, known.join(keys, on=by, how="anti", nulls_equal=True, maintain_order="left")

    def _after(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows with the statistics as they stand after each."""
        count = N.forward_fill().fill_null(0) + (~pl.col(OLD)).cum_sum().cast(pl.Int64)
        for stage in (Stage([count.alias(COUNT)]), *self.learnt):
            columns = self._over(stage.columns, stage.within) if stage.over else stage.columns
            rows = rows.with_columns(columns)
        return rows

    def _last(self, rows: pl.DataFrame) -> pl.DataFrame:
        last = (pl.col(KEY) != pl.col(KEY).shift(-self.tail)).fill_null(True)
        return rows.filter(last).select(*self.form.keys, COUNT, *self._kept())

    def _kept(self) -> list[str]:
        return [*self.also, *self.statistics]

    def _over(self, columns: Iterable[pl.Expr], within: Sequence[str] = ()) -> list[pl.Expr]:
        groups = [*([KEY] if self.form.by else []), *within]
        return [one.over(groups) for one in columns] if groups else list(columns)


@dataclass(frozen=True, slots=True)
class Chained(Algorithm):
    """A second algorithm that follows what a first one made of each value."""

    first: Following
    value: str
    """The column of the first that the second follows, where it is not null."""
    second: Following
    columns: Sequence[str]
    """What the second gives; null in the other rows."""
    prepared: Sequence[pl.Expr] = ()
    """Columns that the first needs beside the values."""

    def score(self, values: pl.DataFrame, state: State) -> pl.DataFrame:
        """The verdict of both on each row."""
        rows = self.first.score(values.with_columns(self.prepared), state)
        passed = values.with_columns(rows[self.value].alias(VALUE))
        usable = passed[VALUE].is_not_null()
        verdict = self.second.score(passed.filter(usable), state).select(self.columns)
        rest = rows.drop(*self.columns, strict=False)
        return pl.concat([rest, spread_out(verdict, usable)], how="horizontal")
