"""pds check, explain, show, list, schema and new."""

import json
import re

import pytest
import yaml

from pydatastream.catalog import catalog
from pydatastream.cli.commands import check as check_verb
from pydatastream.cli.starter import starter
from pydatastream.config.loading import loads
from pydatastream.core.component import Component
from pydatastream.core.errors import RetryLater

STEPS = "def doubled(rows):\n    open('ran', 'w').close()\n    return rows\n"


def test_check_shows_columns_and_promises(pds):
    said = pds("check", "minutes.yaml")
    assert said.code == 0
    assert "columns known: device_id: string, ts: timestamp, temperature: float" in said.out
    assert "columns: device_id: string, window_start: timestamp" in said.out
    assert "exactly once: " in said.out
    assert "source source: 1 partition" in said.out
    assert said.out.endswith("minutes.yaml: fine\n")


def test_check_infers_what_is_not_declared(pds, folder):
    text = (folder / "minutes.yaml").read_text()
    kept = [line for line in text.splitlines() if "schema:" not in line]
    (folder / "bare.yaml").write_text("\n".join(kept))
    assert "columns inferred: device_id: string, ts: string" in pds("check", "bare.yaml").out
    offline = pds("check", "bare.yaml", "--offline")
    assert offline.code == 2
    assert "declare `schema: {column: type}`" in offline.err


def test_check_finds_what_run_would_refuse(pds, folder):
    bad = (folder / "minutes.yaml").read_text().replace("filter: temp", "filter: tmp")
    (folder / "bad.yaml").write_text(bad)
    said = pds("check", "bad.yaml", "--offline")
    assert said.code == 2
    assert "bad.yaml:8:" in said.err


def test_check_offline_needs_no_source(pds, folder):
    (folder / "readings.jsonl").unlink()
    assert pds("check", "minutes.yaml", "--offline").code == 0
    said = pds("check", "minutes.yaml")
    assert said.code == 2
    assert "readings.jsonl" in said.err


def test_check_offline_runs_no_python(pds, folder):
    (folder / "steps.py").write_text(STEPS)
    with (folder / "minutes.yaml").open("a") as file:
        file.write("functions: [steps.py]\n")
    said = pds("check", "minutes.yaml", "--offline")
    assert (said.code, (folder / "ran").exists()) == (0, False)
    assert "Python that was not run" in said.out
    assert pds("check", "minutes.yaml", "--no-python").code == 2


def test_check_names_every_connection_that_fails(pds, monkeypatch):
    def unreachable(self) -> None:
        raise RetryLater("nobody answers")

    monkeypatch.setattr(Component, "check", unreachable)
    said = pds("check", "minutes.yaml")
    assert said.code == 2
    nodes = ("source source", "step filter", "step tumbling", "output output")
    assert said.err == "".join(f"error: {node}: nobody answers\n" for node in nodes)
    assert check_verb.REFUSED == 2


def test_check_against_a_checkpoint(pds, folder):
    pds("run", "minutes.yaml", "--checkpoint", "cp", "-q")
    same = pds("check", "minutes.yaml", "--against", "cp", "--offline")
    assert (same.code, "safe, a run goes on after epoch 1" in same.out) == (0, True)
    changed = (folder / "minutes.yaml").read_text().replace("size: 1m", "size: 2m")
    (folder / "changed.yaml").write_text(changed)
    said = pds("check", "changed.yaml", "--against", "cp", "--offline")
    assert said.code == 2
    assert said.err.startswith("error: cp: loses: sources or steps have changed since epoch 1")
    assert "source source: the position in 1 partition(s)" in said.err
    assert pds("check", "minutes.yaml", "--against", "nowhere").code == 2


def test_check_refuses_a_test_that_is_none(pds, folder):
    with (folder / "minutes.yaml").open("a") as file:
        file.write("tests: [{nam: x}]\n")
    said = pds("check", "minutes.yaml", "--offline")
    assert said.code == 2
    assert "a test has no key 'nam'" in said.err


def test_explain_prints_the_plan(pds, monkeypatch):
    monkeypatch.setenv("FILTER_WHERE", "temperature > 20")
    said = pds("explain", "minutes.yaml")
    assert "step filter: filter(where=${FILTER_WHERE})" in said.out
    assert "filter.where from environment FILTER_WHERE" in said.out
    assert "source.time from file" not in said.out
    assert "source.time from file minutes.yaml:6" in pds("explain", "minutes.yaml", "--origins").out


def test_show_prints_a_pipeline_that_does_the_same(pds, folder):
    (folder / "again.yaml").write_text(pds("show", "minutes.yaml").out)
    assert pds("explain", "again.yaml").out == pds("explain", "minutes.yaml").out


@pytest.mark.parametrize("kind", ["sources", "sink", "formats", "steps"])
def test_list_names_every_component(pds, kind):
    found = json.loads(pds("list", kind, "--json").out)
    assert found
    table = pds("list", kind).out
    assert all(line["name"] in table for line in found)
    assert {line["kind"] for line in found} == {{"steps": "operator"}.get(kind, kind.rstrip("s"))}


def test_list_says_what_connectors_promise(pds):
    found = {(one["kind"], one["name"]): one for one in json.loads(pds("list", "--json").out)}
    assert found["sink", "file"]["delivery"] == "exactly once"
    assert found["source", "file"]["delivery"] == "read again"
    assert "delivery" not in found["operator", "filter"]
    assert pds("list", "sauces").code == 2


def test_schema_of_all_and_of_one(pds):
    assert "processor" in json.loads(pds("schema").out)["properties"]
    assert "size" in json.loads(pds("schema", "step", "tumbling").out)["properties"]
    missing = pds("schema", "source", "fil")
    assert (missing.code, "did you mean 'file'?" in missing.err) == (2, True)
    assert "one of: " in pds("schema", "source").err


def test_new_writes_a_pipeline_that_runs_as_it_is(pds, folder):
    assert pds("new", "first").code == 0
    assert pds("check", "first.yaml").code == 0
    assert pds("test", "first.yaml").code == 0
    assert json.loads(pds("run", "first.yaml", "--json").out)["rows_out"] == 71
    assert list(folder.glob("out-first/part-*"))


def test_new_overwrites_nothing(pds, folder):
    before = (folder / "minutes.yaml").read_text()
    said = pds("new", "minutes")
    assert said.code == 2
    assert said.err.startswith("error: minutes.yaml: the file is there already")
    assert (folder / "minutes.yaml").read_text() == before


def test_new_between_others_runs_too(pds, folder):
    pds("new", "g", "--from", "generate", "--to", "file")
    assert "# seed: int" in (folder / "g.yaml").read_text()
    assert json.loads(pds("run", "g.yaml", "--json").out)["rows_out"] == 1000


PAIRS = [
    *((name, None) for name in catalog().names("source")),
    *((None, name) for name in catalog().names("sink")),
]


@pytest.mark.parametrize(("source", "sink"), PAIRS)
def test_a_new_pipeline_from_or_to_anything_is_one(source, sink):
    text = starter("x", source, sink)
    declared = loads(text, environment=dict.fromkeys(re.findall(r"\$\{(\w+)", text), "1"))
    assert (source or "file", sink or "file") == (
        declared.sources[0].type,
        declared.outputs[0].type,
    )
    assert yaml.safe_load(text)["name"] == "x"
