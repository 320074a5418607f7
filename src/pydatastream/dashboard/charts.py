"""Charts of frames that are ready to be drawn; colours follow the page's theme."""

from __future__ import annotations

import altair as alt
import polars as pl

from pydatastream.dashboard.frames import END, SERIES, START, TIME, VALUE

HEIGHT = 220
MARK, SHADE = "#e4572e", "#f2c14e"
"""Alarms and true labels: told apart in dark and light, and by the colour-blind."""


def over_time(
    long: pl.DataFrame, marks: pl.DataFrame, shade: pl.DataFrame, *, stacked: bool = False
) -> alt.LayerChart | alt.FacetChart:
    """Lines or layers over time, with the spans behind them."""
    legend = alt.Legend(orient="bottom", title=None) if long[SERIES].n_unique() > 1 else None
    base = alt.Chart(long).encode(
        x=alt.X(f"{TIME}:T", title=None),
        y=alt.Y(f"{VALUE}:Q", title=None, stack=stacked or None, scale=alt.Scale(zero=stacked)),
        color=alt.Color(f"{SERIES}:N", legend=legend),
        tooltip=[f"{TIME}:T", f"{SERIES}:N", f"{VALUE}:Q"],
    )
    drawn = base.mark_area(opacity=0.75) if stacked else base.mark_line(interpolate="step-after")
    return alt.layer(_spans(shade, SHADE), _spans(marks, MARK), drawn).properties(height=HEIGHT)


def _spans(spans: pl.DataFrame, colour: str) -> alt.Chart:
    rule = alt.Chart(spans).mark_rect(color=colour, opacity=0.25, stroke=colour, strokeWidth=1)
    found: alt.Chart = rule.encode(x=f"{START}:T", x2=f"{END}:T")
    return found


def bars(found: pl.DataFrame) -> alt.Chart:
    """A bar per value, the greatest on top."""
    drawn: alt.Chart = (
        alt.Chart(found)
        .mark_bar()
        .encode(
            x=alt.X(f"{VALUE}:Q", title=None),
            y=alt.Y(f"{SERIES}:N", title=None, sort=None, axis=alt.Axis(labelOverlap=False)),
            tooltip=[f"{SERIES}:N", f"{VALUE}:Q"],
        )
        .properties(height=HEIGHT)
    )
    return drawn
