"""The Numenta Anomaly Benchmark: 58 files of one value in time, from servers to taxis."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from pydatastream.core.operator import EventTime, Flow, Operator
from pydatastream.core.times import EVENT_TIME
from pydatastream.ml.ewma import Ewma
from pydatastream.ml.new_peak import NewPeak
from pydatastream.ml.seasonal import Seasonal
from pydatastream.operators.smooth import Smooth
from pydatastream.operators.with_ import With
from pydatastream.parts.scoring.judging import judged
from pydatastream.parts.scoring.windowed import Judged, Span, Sweep
from pydatastream.suites import Frames, Suite, table

FILE, TIME, VALUE, WINDOW = "file", "timestamp", "value", "window"
SLOW = 0.001
"""What is usual is what was usual over some 2,000 rows."""
THRESHOLD = 9.5
MOST = 1000
"""A score may be infinite; no part of the sum counts for more."""

SCHEMA = pl.Schema({FILE: pl.String(), TIME: EVENT_TIME, VALUE: pl.Float64()})
FLOW = Flow(SCHEMA, EventTime(TIME))


def steps() -> list[Operator]:
    """The one configuration: level, spread and hour of the week, each against its own past."""
    parts = ("level_score", "spread_score", "weekly_score")
    total = " + ".join(f"least(coalesce({name}, 0), {MOST})" for name in parts)
    by = [FILE]
    return [
        Smooth(column=VALUE, by=by, alpha=0.02),
        Ewma(column="mean", by=by, alpha=SLOW, prefix="level_"),
        Ewma(column="spread", by=by, alpha=SLOW, prefix="spread_"),
        Seasonal(column=VALUE, by=by, memory=SLOW, prefix="weekly_"),
        With(columns={"total": total}),
        NewPeak(column="total", by=by, rows=100),
    ]


class Nab(Suite):
    """Level, spread and weekly course against their own past, one threshold for all files.

    A folder holds `data` with CSV files of `timestamp,value`, and
    `labels/combined_windows.json`: by file a list of windows, each its first and last time.
    """

    folder: ClassVar[str] = "nab"
    peers: ClassVar[Mapping[str, str]] = {
        "Numenta HTM": "70.1 published, as all of these at the corpus's best threshold",
        "KNN-CAD": "58.0 published",
        "Random Cut Forest": "51.7 published",
        "Windowed Gaussian": "39.6 published",
        "River 0.26.1, HalfSpaceTrees": "14.3 measured",
        "Random": "16.8 published",
    }

    def load(self, folder: Path) -> Frames:
        data = folder / "data" if (folder / "data").is_dir() else folder
        file = folder / "labels" / "combined_windows.json"
        labels: Mapping[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        names = sorted(str(file.relative_to(data)) for file in data.rglob("*.csv"))
        texts = {name: table(data / name, infer_schema=False) for name in names}
        return {
            name.removesuffix(".csv"): read(rows, labels.get(name, ()))
            for name, rows in texts.items()
            if {TIME, VALUE} <= set(rows.columns)
        }

    def run(self, inputs: Frames) -> Frames:
        keyed = [
            rows.select(pl.lit(name).alias(FILE), TIME, VALUE) for name, rows in inputs.items()
        ]
        found = judged(steps(), pl.concat(keyed), FLOW)
        score = pl.col("peak").fill_null(0)
        alarm = (score >= THRESHOLD).cast(pl.Int8)
        scored = found.select(FILE, score.alias("score"), alarm.alias("alarm"))
        ends = pl.Series([0, *(rows.height for rows in keyed)]).cum_sum()
        return {
            name: scored[start : start + rows.height]
            .drop(FILE)
            .insert_column(0, pl.int_range(rows.height, eager=True).alias("row"))
            for (name, rows), start in zip(inputs.items(), ends, strict=False)
        }

    def measure(self, inputs: Frames, outputs: Frames) -> Mapping[str, float]:
        rows = sum(one.height for one in inputs.values())
        alarms = sum(int(one["alarm"].sum()) for one in outputs.values())
        rate = {"alarms per 1,000 rows": 1000 * alarms / max(rows, 1)}
        if not any(one[WINDOW].count() for one in inputs.values()):
            return rate
        sweep = Sweep.of(
            [
                (
                    Judged.of(one.height, spans(one[WINDOW])),
                    outputs[name]["score"].to_numpy(),
                )
                for name, one in inputs.items()
            ]
        )
        threshold, most = sweep.best()
        return {
            "NAB score": sweep.at(THRESHOLD),
            "NAB score, best threshold": most,
            "threshold": THRESHOLD,
            "best threshold": threshold,
            **rate,
        }


def read(text: pl.DataFrame, windows: Sequence[tuple[str, str]]) -> pl.DataFrame:
    """Times, values, and the number of the window a row is in; what cannot be read is null."""
    time = pl.col(TIME).str.to_datetime(time_unit="us", strict=False).dt.replace_time_zone("UTC")
    rows = text.select(time, pl.col(VALUE).cast(pl.Float64, strict=False))
    ends = pl.DataFrame(list(windows), schema=["first", "last"], orient="row")
    moments = ends.cast(pl.String).select(
        pl.all().str.to_datetime(time_unit="us").dt.replace_time_zone("UTC")
    )
    within = pl.Series([None] * rows.height, dtype=pl.Int64)
    at = pl.int_range(rows.height, eager=True)
    for number, (first, last) in enumerate(moments.iter_rows()):
        found = at.filter(rows[TIME].is_between(first, last))
        if found.len():
            within = within.zip_with(~at.is_between(found.min(), found.max()), pl.Series([number]))
    return rows.with_columns(within.alias(WINDOW))


def spans(window: pl.Series) -> list[Span]:
    """The first and last row of each window."""
    rows = pl.DataFrame({WINDOW: window}).with_row_index("row").drop_nulls()
    ends = rows.group_by(WINDOW, maintain_order=True).agg(
        pl.col("row").min().alias("first"), pl.col("row").max().alias("last")
    )
    return sorted(ends.select("first", "last").rows())
