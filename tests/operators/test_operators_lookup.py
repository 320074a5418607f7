import polars as pl
import pytest
from pydantic import ValidationError

from pydatastream.core.batch import CLOCK
from pydatastream.core.errors import ConfigError, RetryLater, SchemaError
from pydatastream.core.state import State
from pydatastream.operators import lookup
from pydatastream.operators.lookup import Lookup

DEVICES = pl.DataFrame({"device_id": ["007", "b"], "city": ["Rome", "Oslo"], "floor": [1, 2]})


@pytest.fixture
def devices(tmp_path):
    path = tmp_path / "devices.csv"
    DEVICES.write_csv(path)
    return path


def replace(path, rows):
    rows.write_csv(path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "ndjson", "parquet", "lines.json"])
def test_files_of_every_kind(bench, tmp_path, ending):
    path = tmp_path / f"devices.{ending}"
    if ending == "json":
        DEVICES.write_json(path)
    elif ending in ("csv", "parquet"):
        getattr(DEVICES, f"write_{ending}")(path)
    else:
        DEVICES.write_ndjson(path)
    step = Lookup(path=str(path), on="device_id")
    rows = bench.clocked(bench.rows(device_id=["b", "x", None, "007"]))
    out = bench.run(step, rows)["main"]
    assert out["city"].to_list() == ["Oslo", None, None, "Rome"]
    assert out.drop(CLOCK).schema == step.flow(bench.flow).schema
    assert step.flow(bench.flow).time == bench.flow.time


@pytest.mark.parametrize(
    ("unmatched", "main", "dead"),
    [("keep", ["b", "x"], []), ("drop", ["b"], []), ("dead_letter", ["b"], ["x"])],
)
def test_rows_without_a_match(bench, devices, unmatched, main, dead):
    step = Lookup(path=str(devices), on="device_id", columns=["city"], unmatched=unmatched)
    out = bench.run(step, bench.rows(device_id=["b", "x"]))
    assert out["main"]["device_id"].to_list() == main
    assert (out["dead"]["device_id"].to_list() if "dead" in out else []) == dead


def test_keys_may_have_other_names_and_several_columns(bench, tmp_path):
    path = tmp_path / "limits.csv"
    path.write_text("id,level,top\na,1,10\na,2,20\n,3,30\n")
    step = Lookup(path=str(path), on={"device_id": "id", "n": "level"}, columns=["top"])
    out = bench.run(step, bench.rows(device_id=["a", "a", None], n=[2, 3, 3]))["main"]
    assert out["top"].to_list() == [20, None, None]
    assert step.reads(frozenset({"top", "ts"})) == {"device_id", "n", "ts"}


def test_a_new_file_is_read_and_its_hash_kept(bench, devices, monkeypatch):
    monkeypatch.setattr(lookup, "CHECK_EVERY", 0.0)
    state = State()
    kernel = Lookup(path=str(devices), on="device_id").open(state, bench.flow)
    rows = bench.rows(device_id=["b"])
    assert next(kernel.on_batch(rows))["city"].to_list() == ["Oslo"]
    digest = state.values["file"]
    replace(devices, DEVICES.with_columns(city=pl.lit("Bergen")))
    assert next(kernel.on_batch(rows))["city"].to_list() == ["Bergen"]
    assert state.values["file"] != digest


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (DEVICES.drop("floor"), "other columns than when the run began"),
        (pl.concat([DEVICES, DEVICES]), "has the key 007 more than once"),
        (DEVICES.drop("device_id"), "no column 'device_id'"),
        (None, "No such file"),
    ],
)
def test_a_file_that_cannot_be_used_is_waited_for(bench, devices, monkeypatch, now, words):
    monkeypatch.setattr(lookup, "CHECK_EVERY", 0.0)
    state = State()
    kernel = Lookup(path=str(devices), on="device_id").open(state, bench.flow)
    devices.unlink() if now is None else replace(devices, now)
    with pytest.raises(RetryLater, match=words):
        list(kernel.on_batch(bench.rows(device_id=["b"])))
    assert state.values == {}
    replace(devices, DEVICES)
    assert next(kernel.on_batch(bench.rows(device_id=["b"])))["city"].to_list() == ["Oslo"]


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("device_id,city\na,x\na,y\n", {}, "has the key a more than once"),
        ("device_id,n\na,1\n", {}, "would replace column 'n'"),
        ("device_id,city\na,x\n", {"columns": ["town"]}, "no column 'town'"),
        ("id,city\na,x\n", {}, "no column 'device_id'"),
        ("device_id,city\na,x,y,z\n", {}, "cannot be read"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_before_the_run(bench, tmp_path, text, options, words):
    path = tmp_path / "devices.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        Lookup(path=str(path), on="device_id", **options).flow(bench.flow)


def test_options_are_checked(bench, tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        Lookup(path=str(tmp_path / "none.csv"), on="device_id").flow(bench.flow)
    with pytest.raises(ValidationError, match="does not end in"):
        Lookup(path="devices.xlsx", on="device_id")
    DEVICES.with_columns(device_id=pl.lit(1)).head(1).write_parquet(tmp_path / "d.parquet")
    with pytest.raises(SchemaError, match="'device_id' is int32 in"):
        Lookup(path=str(tmp_path / "d.parquet"), on="device_id").flow(bench.flow)
