"""Space Shuttle: 9 numbers, 7 % of the rows odd, and in no order of time."""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import polars as pl

from pydatastream.core.operator import Flow
from pydatastream.ml.half_space_trees import HalfSpaceTrees
from pydatastream.ml.loda import Loda
from pydatastream.parts.scoring.judging import judged, roc_auc
from pydatastream.suites import Frames, Suite, table

LABEL = "anomaly"
NEAR = 0.2
"""An alarm: less than this share of the last window's rows end in the same leaves."""


class Shuttle(Suite):
    """Half-Space Trees with their defaults; LODA and River's trees beside them, in one run."""

    folder: ClassVar[str] = "wsn"
    peers: ClassVar[Mapping[str, str]] = {
        "River 0.26.1, HalfSpaceTrees": "0.961 at 50,000 rows/s, measured on a quiet machine",
        "PySAD, LODA": "0.985 at 4,500 rows/s, measured on a quiet machine",
    }

    def load(self, folder: Path) -> Frames:
        files = {file.name.split(".")[0]: file for file in sorted(folder.glob("*.csv*"))}
        frames = {name: table(file) for name, file in files.items()}
        return {name: rows for name, rows in frames.items() if LABEL in rows.columns}

    def run(self, inputs: Frames) -> Frames:
        return {name: self._scored(rows) for name, rows in inputs.items()}

    def _scored(self, rows: pl.DataFrame) -> pl.DataFrame:
        step = HalfSpaceTrees(columns=_features(rows))
        near = pl.col("mass").fill_null(step.window) >= NEAR * step.window
        row, alarm = pl.int_range(pl.len()).alias("row"), (~near).cast(pl.Int8).alias("alarm")
        return judged([step], rows, Flow(rows.schema)).select(row, "score", alarm)

    def measure(self, inputs: Frames, outputs: Frames) -> Mapping[str, float]:
        labels = pl.concat([rows[LABEL] for rows in inputs.values()])
        alarms = pl.concat([rows["alarm"] for rows in outputs.values()])
        figures = {
            "ROC-AUC": _area(inputs, {name: rows["score"] for name, rows in outputs.items()}),
            "alarms on odd rows": _mean(alarms.filter(labels == 1)),
            "alarms on usual rows": _mean(alarms.filter(labels == 0)),
        }
        for name, scores in {"LODA": _loda, "River": _river}.items():
            start = time.perf_counter()
            found = {
                file: said for file, rows in inputs.items() if (said := scores(rows)) is not None
            }
            seconds = time.perf_counter() - start
            if found:
                figures[f"{name} ROC-AUC"] = _area(inputs, found)
                figures[f"{name} rows/s"] = labels.len() / seconds
        return figures


def _features(rows: pl.DataFrame) -> list[str]:
    return [name for name in rows.columns if name != LABEL]


def _mean(values: pl.Series) -> float:
    return float(values.cast(pl.Float64).mean() or 0.0)  # type: ignore[arg-type]


def _area(inputs: Frames, scores: Mapping[str, pl.Series]) -> float:
    """The mean of all files."""
    areas = [roc_auc(rows[LABEL], scores[name]) for name, rows in inputs.items()]
    return sum(areas) / len(areas)


def _loda(rows: pl.DataFrame) -> pl.Series:
    return judged([Loda(columns=_features(rows))], rows, Flow(rows.schema))["score"]


def _river(rows: pl.DataFrame) -> pl.Series | None:
    """What River's Half-Space Trees say with their own defaults, which are fewer trees."""
    try:
        anomaly, preprocessing = map(
            importlib.import_module, ("river.anomaly", "river.preprocessing")
        )
    except ImportError:
        return None
    scaler, trees, scores = preprocessing.MinMaxScaler(), anomaly.HalfSpaceTrees(seed=0), []
    for row in rows.select(_features(rows)).iter_rows(named=True):
        scaler.learn_one(row)
        scaled = scaler.transform_one(row)
        scores.append(trees.score_one(scaled))
        trees.learn_one(scaled)
    return pl.Series(scores, dtype=pl.Float64)
