"""NSL-KDD: connections of a network, each usual or one of many attacks; test, then train."""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import polars as pl

from pydatastream.core.operator import Flow
from pydatastream.ml.logistic_regression import LogisticRegression
from pydatastream.parts.scoring.judging import judged, roc_auc
from pydatastream.suites import Frames, Suite, table

FEATURES, CLASS, DIFFICULTY, LABEL = 41, "class", "difficulty", "attack"
NAMES = ["f1", "f2", "f3"]
"""Protocol, service and flag; the other features are numbers, most of them counts."""
NUMBERS = [f"f{n}" for n in range(FEATURES) if f"f{n}" not in NAMES]


class Nslkdd(Suite):
    """Logistic regression on all features: each row is predicted, then learnt from."""

    folder: ClassVar[str] = "nslkdd"
    peers: ClassVar[Mapping[str, str]] = {
        "River 0.26.1, LogisticRegression": "0.966 at 14,600 rows/s, measured on a quiet machine"
    }

    def load(self, folder: Path) -> Frames:
        columns = [*(f"f{n}" for n in range(FEATURES)), CLASS, DIFFICULTY]
        files = {file.name.split(".")[0]: file for file in sorted(folder.glob("*.txt*"))}
        attack = (pl.col(CLASS) != "normal").alias(LABEL)
        return {
            name: table(file, has_header=False, new_columns=columns).with_columns(attack)
            for name, file in files.items()
        }

    def run(self, inputs: Frames) -> Frames:
        return {name: self._scored(rows) for name, rows in inputs.items()}

    def _scored(self, rows: pl.DataFrame) -> pl.DataFrame:
        step = LogisticRegression(target=LABEL, columns=NUMBERS, categories=NAMES)
        found = judged([step], rows, Flow(rows.schema))
        alarm = pl.col("predicted").cast(pl.Int8).alias("alarm")
        return found.select(pl.int_range(pl.len()).alias("row"), "score", alarm)

    def measure(self, inputs: Frames, outputs: Frames) -> Mapping[str, float]:
        truth = pl.concat([rows[LABEL] for rows in inputs.values()])
        found = pl.concat([outputs[name] for name in inputs])
        alarm = found["alarm"].cast(pl.Boolean)
        figures = {
            "test-then-train accuracy": _share(alarm == truth),
            "attacks found": _share(alarm.filter(truth)),
            "false alarms": _share(alarm.filter(~truth)),
            "ROC-AUC": roc_auc(truth, found["score"]),
        }
        start = time.perf_counter()
        theirs = [said for rows in inputs.values() if (said := _river(rows)) is not None]
        if theirs:
            figures["River accuracy"] = _share(pl.concat(theirs) == truth)
            figures["River rows/s"] = truth.len() / (time.perf_counter() - start)
        return figures


def _share(true: pl.Series) -> float:
    return float(true.sum() / max(true.len(), 1))


def _river(rows: pl.DataFrame) -> pl.Series | None:
    """What River's logistic regression predicts, with its own defaults."""
    try:
        compose, linear, preprocessing = (
            importlib.import_module(f"river.{name}")
            for name in ("compose", "linear_model", "preprocessing")
        )
    except ImportError:
        return None
    numbers = compose.Select(*NUMBERS) | preprocessing.StandardScaler()
    names = compose.Select(*NAMES) | preprocessing.OneHotEncoder()
    model, said = (numbers + names) | linear.LogisticRegression(), []
    features = rows.select(*NUMBERS, *NAMES).iter_rows(named=True)
    for row, attack in zip(features, rows[LABEL].to_list(), strict=True):
        said.append(bool(model.predict_one(row)))
        model.learn_one(row, attack)
    return pl.Series(said, dtype=pl.Boolean)
