"""Single-hop sensor motes: humidity and temperature every 5 seconds, steam let in once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl

from pydatastream.core.operator import Flow
from pydatastream.ml.robust_z import RobustZ
from pydatastream.parts.scoring.judging import judged, roc_auc
from pydatastream.suites import Frames, Suite, table

MOTE, LABEL, SENSORS = "mote_id", "label", ("humidity", "temperature")
HOUR = 720
"""Readings of an hour."""
THRESHOLD = 12.0
"""Twice the highest score of the first half of the readings, in which nothing happens."""

MOST = 1e6
"""A score may be infinite; nothing counts for more than this."""


class Wsn(Suite):
    """The higher robust z of two sensors, against the last hour of their mote."""

    folder: ClassVar[str] = "wsn"
    peers: ClassVar[Mapping[str, str]] = {
        "One-step difference": "0.98 measured",
        "River 0.26.1, HalfSpaceTrees": "0.95 measured",
    }

    def load(self, folder: Path) -> Frames:
        files = {file.stem: file for file in sorted(folder.rglob("*.csv"))}
        frames = {name: table(file) for name, file in files.items()}
        wanted = {MOTE, *SENSORS}
        return {name: rows for name, rows in frames.items() if wanted <= set(rows.columns)}

    def run(self, inputs: Frames) -> Frames:
        return {name: self._scored(rows.select(MOTE, *SENSORS)) for name, rows in inputs.items()}

    def _scored(self, rows: pl.DataFrame) -> pl.DataFrame:
        rows = rows.with_columns(pl.col(SENSORS).cast(pl.Float64, strict=False))
        given: dict[str, Any] = {"by": [MOTE], "nulls": "keep", "window": HOUR, "warmup": HOUR // 2}
        steps = [RobustZ(column=name, prefix=f"{name}_", **given) for name in SENSORS]
        score = pl.max_horizontal(f"{name}_score" for name in SENSORS)
        found = judged(steps, rows, Flow(rows.schema)).select(
            pl.int_range(pl.len()).alias("row"), score.fill_null(0).clip(0, MOST).alias("score")
        )
        alarm = (pl.col("score") >= THRESHOLD).cast(pl.Int8)
        return found.with_columns(alarm.alias("alarm"))

    def measure(self, inputs: Frames, outputs: Frames) -> Mapping[str, float]:
        both = [
            pl.concat([rows, outputs[name].drop("row")], how="horizontal")
            for name, rows in inputs.items()
        ]
        labelled = [rows.with_columns(_odd()) for rows in both if LABEL in rows.columns]
        motes = [mote for rows in labelled for mote in rows.partition_by(MOTE)]
        hit = [bool(mote.filter(LABEL)["alarm"].sum()) for mote in motes if mote[LABEL].any()]
        clean = [_alarms(mote["alarm"]) for mote in motes if not mote[LABEL].any()]
        areas = [roc_auc(rows[LABEL], rows["score"]) for rows in labelled]
        return {
            "ROC-AUC": float(np.mean(areas)) if areas else float("nan"),
            "alarms on motes without an event": float(sum(clean)),
            "motes with an event": float(len(hit)),
            "of these found": float(sum(hit)),
        }


def _odd() -> pl.Expr:
    return pl.col(LABEL).cast(pl.Int64, strict=False).fill_null(0) > 0


def _alarms(alarm: pl.Series) -> int:
    """How often an alarm begins."""
    return int((alarm.diff().fill_null(alarm[0]) == 1).sum())
