"""pds state: what a checkpoint remembers, and models that leave it and begin again elsewhere."""

import json

import numpy as np
import polars as pl
import pytest

safetensors = pytest.importorskip("safetensors.numpy", reason="it reads what was saved")

PIPELINE = """
name: odd
source:
  type: file
  path: {path}
  format: csv
  schema: {{device: string, a: float, b: float}}
processor:
  - pca: {{columns: [a, b], by: [device], fit: 50{more}}}
output: {{type: file, path: out-{name}/, format: json}}
checkpoint: {{path: .pds/{name}}}
"""


@pytest.fixture
def learnt(folder, pds):
    chance = np.random.default_rng(0)
    rows = pl.DataFrame({"device": ["x", "y"] * 200, "a": chance.normal(size=400)})
    rows = rows.with_columns(b=pl.col("a") + chance.normal(size=400))
    rows[:300].write_csv("first.csv")
    rows[300:].write_csv("second.csv")
    rows.write_csv("whole.csv")
    (folder / "p.yaml").write_text(PIPELINE.format(path="first.csv", more="", name="p"))
    assert pds("run", "p.yaml", "-q").code == 0
    return folder


def scored(folder, name):
    return pl.concat(
        [
            pl.read_ndjson(one, infer_schema_length=None)
            for one in sorted(folder.glob(f"out-{name}/part-*"))
        ]
    )


def test_what_is_remembered_is_shown(learnt, pds):
    shown = json.loads(pds("state", "show", "p.yaml", "--json").out)
    found = {(one["step"], one["state"]): one["rows"] for one in shown}
    assert found["pca", "models"] == 2
    assert "after epoch" in pds("state", "show", "p.yaml").out


def test_a_saved_model_goes_on_as_if_it_had_never_left(learnt, pds):
    assert pds("state", "save", "p.yaml", "pca", "m.safetensors").code == 0
    arrays = safetensors.load_file("m.safetensors")
    assert arrays["models/most"].shape == (2, 2)
    begun = PIPELINE.format(path="second.csv", more=", start_from: m.safetensors", name="q")
    (learnt / "q.yaml").write_text(begun)
    assert pds("run", "q.yaml", "-q").code == 0
    continued = scored(learnt, "q")
    (learnt / "w.yaml").write_text(PIPELINE.format(path="whole.csv", more="", name="w"))
    assert pds("run", "w.yaml", "-q").code == 0
    whole = scored(learnt, "w")[300:]
    assert continued.drop("version").equals(whole.drop("version"))
    (version,) = continued["version"].unique()
    assert version.startswith("pca-")
    assert version not in whole["version"]


def test_a_model_made_otherwise_is_refused(learnt, pds):
    assert pds("state", "save", "p.yaml", "pca", "m.safetensors").code == 0
    other = PIPELINE.format(
        path="second.csv", more=", smooth: 5, start_from: m.safetensors", name="q"
    )
    (learnt / "q.yaml").write_text(other)
    said = pds("check", "q.yaml")
    assert said.code != 0
    assert "was made with" in said.err


def test_what_cannot_be_saved_is_told(learnt, pds):
    said = pds("state", "save", "p.yaml", "pac", "m.safetensors")
    assert said.code != 0
    assert "did you mean 'pca'" in said.err
    assert pds("state", "save", "p.yaml", "pca", "m", "--checkpoint", "none").code != 0
