"""Suites of models: what they reach on the data themselves, and on files of the same shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pydatastream.parts.scoring.judging import roc_auc
from pydatastream.suites import DATA, find_suite, measured

SHARED = Path(__file__).parents[2] / DATA


def data(folder):
    if not (SHARED / folder).is_dir():
        pytest.skip(f"the data are not there: {SHARED / folder}")
    return SHARED


def test_shuttle_is_told_apart_without_its_labels():
    suite = find_suite("shuttle")
    inputs = suite.load(data("wsn") / "wsn")
    blind = {name: rows.with_columns(pl.lit(0).alias("anomaly")) for name, rows in inputs.items()}
    outputs = suite.run(inputs)
    assert outputs["shuttle"].equals(suite.run(blind)["shuttle"])
    assert roc_auc(inputs["shuttle"]["anomaly"], outputs["shuttle"]["score"]) >= 0.96
    assert outputs["shuttle"].columns == ["row", "score", "alarm"]


def test_skab_is_better_than_the_published_chart():
    figures = measured("skab", data("skab")).figures
    assert figures["ROC-AUC, mean of files"] >= 0.80
    assert figures["F1"] >= 0.76
    assert figures["false alarms"] <= 0.27


def test_shuttle_reads_any_file_of_its_shape(tmp_path):
    chance = np.random.default_rng(0)
    odd = chance.random(3000) < 0.05
    values = np.where(odd[:, None], 4.0, 0.0) + chance.normal(size=(3000, 9))
    rows = pl.DataFrame(values, schema=[f"f{n}" for n in range(1, 10)])
    rows.with_columns(pl.Series("anomaly", odd.astype(int))).write_csv(tmp_path / "mine.csv")
    (tmp_path / "other.csv").write_text("reading,label\n1,0\n")
    found = measured("shuttle", tmp_path)
    assert list(found.outputs) == ["mine"]
    assert found.figures["ROC-AUC"] > 0.9
    assert found.figures["LODA ROC-AUC"] > 0.9
    assert found.figures["River ROC-AUC"] > 0.8


def test_nslkdd_is_learnt_on_the_way():
    suite = find_suite("nslkdd")
    inputs = suite.load(data("nslkdd") / "nslkdd")
    ((name, found),) = suite.run(inputs).items()
    assert (found["alarm"].cast(pl.Boolean) == inputs[name]["attack"]).mean() >= 0.96


def test_nslkdd_reads_any_file_of_its_shape(tmp_path):
    chance = np.random.default_rng(0)
    odd = chance.random(6000) < 0.4
    features = chance.integers(0, 9, (6000, 41)).astype(str).astype(object)
    features[:, 1] = np.where(odd ^ (chance.random(6000) < 0.05), "icmp", "tcp")
    kinds = np.where(odd, "smurf", "normal")
    lines = [",".join([*row, kind, "20"]) for row, kind in zip(features, kinds, strict=True)]
    (tmp_path / "KDDTest.txt").write_text("\n".join(lines))
    figures = measured("nslkdd", tmp_path).figures
    assert figures["test-then-train accuracy"] > 0.85
    assert figures["River accuracy"] > 0.85
