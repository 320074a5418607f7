"""From a snapshot to what is drawn: pure functions of frames."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import polars as pl
import polars.selectors as cs

from pydatastream.core.times import EVENT_TIME

MOST = 600
"""Points of a line: more cannot be told apart on a screen."""
LAYERS = 20
"""Lines, or layers, in one chart."""
TIME, SERIES, VALUE = "time", "series", "value"
LONG = pl.Schema({TIME: EVENT_TIME, SERIES: pl.String(), VALUE: pl.Float64()})
START, END = "start", "end"
OVER = ("resolved", "ended")
"""What an alert's last row has as its state."""
SPANS = pl.Schema({START: EVENT_TIME, END: EVENT_TIME})


def numbers(schema: pl.Schema) -> list[str]:
    """The columns that can be drawn as a line.

    >>> numbers(pl.Schema({"k": pl.String, "n": pl.Int64, "x": pl.Float64}))
    ['n', 'x']
    """
    return list(cs.expand_selector(pl.DataFrame(schema=schema), cs.numeric()))


def until(rows: pl.DataFrame, time: str | None, moment: datetime | None) -> pl.DataFrame:
    """The rows as they stood at a moment; all of them without one."""
    return rows if time is None or moment is None else rows.filter(pl.col(time) <= moment)


def recent(rows: pl.DataFrame, time: str | None, seconds: float | None) -> pl.DataFrame:
    """The rows of the last so many seconds before the newest."""
    if time is None or seconds is None or not rows.height:
        return rows
    return rows.filter(pl.col(time) > pl.col(time).max() - pl.duration(microseconds=seconds * 1e6))


def lines(
    rows: pl.DataFrame, time: str, columns: Sequence[str], by: str | None = None
) -> pl.DataFrame:
    """Columns over time as LONG: at most MOST points a line, and LAYERS lines.

    A point stands for a stretch of time and has its greatest value, so that no peak is lost.
    With `by` there is a line per value of it, of those that have the greatest values.
    """
    found = _long(rows, time, columns, by)
    return _thinned(_strongest(found.filter(pl.col(VALUE).is_finite()), pl.col(VALUE).max()), "max")


def layers(
    rows: pl.DataFrame, time: str, columns: Sequence[str], by: str | None, top: int
) -> pl.DataFrame:
    """Columns over time as LONG, summed per moment, and per value of `by`.

    Where there are more than MOST moments a point is the mean of some that follow each other.
    """
    found = _long(rows, time, columns, by)
    sums = found.group_by(TIME, SERIES).agg(pl.col(VALUE).sum())
    return _thinned(_strongest(sums, pl.col(VALUE).sum(), top), "mean")


def bars(rows: pl.DataFrame, column: str | None, by: str, top: int) -> pl.DataFrame:
    """SERIES and VALUE: the values of `by` with the greatest sums of a column, or most rows.

    Where `by` holds lists, each of their values counts.
    """
    if isinstance(rows.schema[by], pl.List):
        rows = rows.explode(by)
    value = pl.len() if column is None else pl.col(column).sum()
    found = rows.drop_nulls(by).group_by(_series(by)).agg(value.cast(pl.Float64).alias(VALUE))
    return found.sort(VALUE, SERIES, descending=[True, False]).head(top)


def spans(rows: pl.DataFrame, now: datetime | None = None) -> pl.DataFrame:
    """What alerts say of when they were on, as SPANS; one that is not over lasts until now."""
    if not {START, "last", "state"} <= set(rows.columns):
        return pl.DataFrame(schema=SPANS)
    found = rows.select(START, "state", pl.col("last").alias(END)).drop_nulls()
    begun, over = (pl.col("state") == "raised").sum(), pl.col("state").is_in(OVER).sum()
    until = pl.when(begun > over).then(
        pl.max_horizontal(pl.col(END).max(), pl.lit(now, EVENT_TIME))
    )
    return found.group_by(START).agg(until.otherwise(pl.col(END).max()).alias(END)).sort(START)


def stretches(rows: pl.DataFrame, time: str, holds: pl.Expr) -> pl.DataFrame:
    """The times between which rows meet a condition, as SPANS.

    Rows of one moment count together; a stretch reaches up to the next moment that does not.
    """
    moments = rows.group_by(time).agg(holds.fill_null(False).any().alias("on")).sort(time)
    runs = moments.with_columns(
        pl.col("on").rle_id().alias("run"), pl.col(time).shift(-1).fill_null(pl.col(time).max())
        .alias(END),
    ).filter("on")  # fmt: skip
    found = runs.group_by("run", maintain_order=True).agg(
        pl.col(time).first().alias(START), pl.col(END).last()
    )
    return found.select(SPANS.names())


def _long(rows: pl.DataFrame, time: str, columns: Sequence[str], by: str | None) -> pl.DataFrame:
    names = [pl.lit(one).alias(SERIES) for one in columns]
    if by is not None:
        names = [_series(by, one if len(columns) > 1 else None) for one in columns]
    long = [
        rows.select(pl.col(time).alias(TIME), name, pl.col(one).cast(pl.Float64).alias(VALUE))
        for one, name in zip(columns, names, strict=True)
    ]
    return pl.concat([pl.DataFrame(schema=LONG), *long]).drop_nulls(TIME)


def _series(by: str, column: str | None = None) -> pl.Expr:
    name = pl.col(by).cast(pl.String).fill_null("-")
    return (name if column is None else name + pl.lit(f" {column}")).alias(SERIES)


def _strongest(long: pl.DataFrame, strength: pl.Expr, top: int = LAYERS) -> pl.DataFrame:
    ranked = long.group_by(SERIES).agg(strength).sort(VALUE, SERIES, descending=[True, False])
    return long.filter(pl.col(SERIES).is_in(ranked.get_column(SERIES).head(top).implode()))


def _thinned(long: pl.DataFrame, how: str) -> pl.DataFrame:
    if long.get_column(TIME).n_unique() > MOST:
        moment = pl.col(TIME).to_physical()
        first, last = long.select(first=moment.min(), last=moment.max()).row(0)
        width = (last - first) // (MOST - 1)
        place = first + (moment - first) // width * width
        long = long.with_columns(place.cast(EVENT_TIME).alias(TIME))
    value = getattr(pl.col(VALUE), how)()
    return long.group_by(TIME, SERIES).agg(value).sort(TIME, SERIES)
