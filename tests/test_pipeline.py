"""Pipelines in Python, and their way to YAML and back."""

import datetime as dt
from typing import ClassVar

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from pydatastream import Pipeline
from pydatastream.config import loading
from pydatastream.core.errors import ConfigError
from pydatastream.core.sink import Delivery, Sink
from pydatastream.planning import plan

COLUMNS = {"id": "string", "ts": "int", "t": "float", "u": "float"}
READ = {"path": "x.jsonl", "format": "json", "schema": COLUMNS, "time": "ts", "time_unit": "ms"}


def start(name="p"):
    return Pipeline(name).read("file", **READ)


def same(pipeline):
    """The pipeline written and read again gives the same plan and the same text."""
    text = pipeline.to_yaml()
    again = Pipeline(declaration=loading.loads(text, "p.yaml", None, {}))
    assert again.plan(offline=True).fingerprint() == pipeline.plan(offline=True).fingerprint()
    assert again.explain(offline=True) == pipeline.explain(offline=True)
    assert again.to_yaml() == text
    assert again.settings() == pipeline.settings()
    return text


def full():
    return (
        start()
        .filter("t > 10")
        .with_(f="t * 1.8 + 32", name="fahrenheit")
        .tumbling("1m", by=["id"], lateness="5s", n="count(*)", mean="avg(f)")
        .write("file", "out/", format="json")
        .late("file", path="late/", format={"type": "csv"})
        .on_error("dead_letter", "file", path="dead/", format="json")
        .checkpoint(".pds/x", interval="2s")
        .delivery("at_least_once")
        .batch(rows=1000)
    )


def test_every_step_of_the_catalog_is_a_method():
    found = full().plan(offline=True)
    assert [step.name for step in found.steps] == ["filter", "fahrenheit", "tumbling"]
    assert found.steps[2].operator.aggregate == {"n": "count(*)", "mean": "avg(f)"}
    assert [one.name for one in found.outputs] == ["output", "late"]
    assert repr(start().filter("t > 1")) == "Pipeline('p' -> file -> filter)"
    assert "tumbling" in dir(start())
    assert "with_" in dir(start())
    assert "Keep" in start().filter.__doc__


def test_python_goes_to_yaml_and_back():
    text = same(full())
    assert "- filter: t > 10\n" in text
    assert "by: [id]" in text


def test_yaml_goes_to_python_and_back():
    text = (
        "name: x\nsources:\n"
        "  a: {type: file, path: '${P:x}.jsonl', format: json, schema: {t: int}}\n"
        "  b: {type: file, path: y.csv, schema: {t: int}}\nprocessor:\n"
        "  - {union: , inputs: [a, b], name: both}\n  - {function: filter, args: {where: t > 1}}\n"
        "  - route: {hot: t > 9}\n"
        "outputs:\n  o: {type: 'null', input: route}\n  h: {type: 'null', input: route.hot}\n"
        "on_error: fail\ncheckpoint: {path: c}\ndelivery: at_least_once\ntests: [{a: 'no'}]\n"
    )
    again = same(Pipeline(declaration=loading.loads(text, "p.yaml", None, {})))
    assert "path: ${P:x}.jsonl" in again


def test_a_pipeline_never_changes():
    first = start()
    first.filter("t > 1").write("null")
    assert first.declaration.steps == ()
    assert first.declaration.outputs == ()


def test_read_starts_a_pipeline_or_adds_a_source():
    assert Pipeline.read("file", **READ).name == "pipeline"
    two = (
        Pipeline("two").read("file", name="a", **READ).read("file", name="b", **READ)
        .union(inputs=["a", "b"]).write("null")
    )  # fmt: skip
    assert two.plan(offline=True).steps[0].inputs == ("a", "b")
    same(two)


def test_the_step_after_a_second_source_takes_that_source():
    found = (
        Pipeline("two").read("file", name="a", **READ).filter("t > 1")
        .read("file", name="b", **READ).filter("t > 2").union(inputs=["filter", "filter_2"])
        .write("null")
    )  # fmt: skip
    assert [one.inputs for one in found.plan(offline=True).steps[:2]] == [("a",), ("b",)]
    same(found)


def test_what_is_written_midway_stays_there():
    found = (
        start().filter("t > 1").write("null", name="raw").filter("t > 2").write("null", name="b")
    )
    assert [one.input for one in found.plan(offline=True).outputs] == ["filter", "filter_2"]
    same(found)
    with pytest.raises(ConfigError, match="taken"):
        found.filter("t > 3", name="filter")


@pytest.mark.parametrize(
    ("build", "what"),
    [
        (lambda: start().tumblin("1m"), "did you mean 'tumbling'"),
        (lambda: start().filter("a", "b"), "one value without a name"),
        (lambda: start().filter(wher="a"), "no option 'wher'"),
        (lambda: Pipeline.read("fil", path="x"), "no source is called 'fil'"),
        (lambda: start().write("nul"), "no sink is called 'nul'"),
        (lambda: start().on_error("dead"), "policy must be"),
        (lambda: start().checkpoint("x", interval="soon"), "not a duration"),
        (lambda: start().delivery("twice"), "no delivery is called"),
        (lambda: start().filter("nope > 1").write("null").plan(offline=True), "step filter"),
    ],
)
def test_mistakes_are_explained(build, what):
    with pytest.raises((ConfigError, AttributeError)) as caught:
        build()
    assert what in str(caught.value)


@pytest.mark.parametrize(
    ("build", "where"),
    [
        (lambda: start().filter(pl.col("t") > 1, name="hot"), "hot"),
        (lambda: start().with_(f=pl.col("t") * 2), "with"),
        (lambda: start().map(lambda rows: rows, name="mine"), "mine"),
    ],
)
def test_what_only_python_can_say_is_named_when_written(build, where):
    pipeline = build().write("null")
    assert pipeline.plan(offline=True)
    with pytest.raises(ConfigError, match="cannot be written as YAML") as caught:
        pipeline.to_yaml()
    assert str(caught.value.where).startswith(where)


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(
    WORDS,
    st.sampled_from(
        ["no", "1e5", "010", "0x1", "~", "${X}", "$${", "1:30", "a: b", "&a", "\x85", "a\u2028"]
    ),
)
def test_any_text_survives_the_round_trip(word, tricky):
    for text in (word, tricky, f"{word}{tricky}"):
        pipeline = Pipeline("p").read("file", path=text, schema=COLUMNS, format="json")
        again = loading.loads(pipeline.write("null").to_yaml(), "p.yaml", None, {})
        assert again.sources[0].component.path == text
        assert plan(again, offline=True)


def test_rows_of_memory_survive_the_round_trip():
    at = dt.datetime(2026, 1, 1, 12, 0, 5, tzinfo=dt.UTC)
    rows = pl.DataFrame({"t": [at, None], "b": [b"\xff", b""], "l": [[1], []], "s": ["x", None]})
    pipeline = Pipeline("p").read("memory", rows).filter("true").write("null")
    again = Pipeline(declaration=loading.loads(pipeline.to_yaml(), "p.yaml", None, {}))
    assert again.collect().equals(pipeline.collect())
    assert again.plan().fingerprint() == pipeline.plan().fingerprint()
    many = Pipeline("p").read("memory", pl.DataFrame({"n": range(2000)})).write("null")
    assert "rows=2000 rows" in many.explain()
    with pytest.raises(ConfigError, match="cannot be written as YAML: memory: rows"):
        many.to_yaml()


def test_a_python_file_defines_a_pipeline(tmp_path):
    file = tmp_path / "hot.py"
    head = "from pydatastream import Pipeline\n"
    file.write_text(f"{head}hot = Pipeline('hot').read('file', path='x').write('null')\n")
    assert Pipeline.load(file).name == "hot"
    with pytest.raises(ConfigError, match="refused"):
        Pipeline.load(file, python=False)
    file.write_text(f"{head}a = Pipeline('a')\nb = Pipeline('b')\n")
    with pytest.raises(ConfigError, match="found a, b"):
        Pipeline.load(file)
    file.write_text(f"{head}pipeline = Pipeline('a')\nb = pipeline.read('file', path='x')\n")
    assert Pipeline.load(file).name == "a"


def test_a_pipeline_runs(tmp_path):
    rows = "".join(f'{{"id": "d{n % 2}", "t": {n}}}\n' for n in range(10))
    (tmp_path / "x.jsonl").write_text(rows)
    read = Pipeline("run").read("file", path=f"{tmp_path}/x.jsonl")
    report = read.filter("t >= 4").write("file", f"{tmp_path}/out/", format="json").run()
    assert (report.rows_in, report.filtered, report.rows_out) == (10, 4, 6)
    written = pl.concat([pl.read_ndjson(one) for one in sorted((tmp_path / "out").glob("*.jsonl"))])
    assert written["t"].to_list() == [4, 5, 6, 7, 8, 9]


class SafeSink(Sink):
    delivery: ClassVar[Delivery] = Delivery.AT_LEAST_ONCE
    password: SecretStr


def test_a_secret_given_in_python_is_never_written():
    pipeline = start().to(SafeSink(password="canary"))
    assert "canary" not in pipeline.explain(offline=True)
    with pytest.raises(ConfigError, match="it is a secret") as caught:
        pipeline.to_yaml()
    assert "canary" not in str(caught.value)


def test_columns_told_by_place_are_all_read(tmp_path):
    (tmp_path / "x.csv").write_text("a,1,2.5\nb,2,3.5\n")
    form = {"type": "csv", "header": False}
    schema = {"k": "string", "n": "int", "x": "float"}
    read = Pipeline.read("file", path=str(tmp_path / "x.csv"), format=form, schema=schema)
    assert read.filter("x > 3").select("k").collect().rows() == [("b",)]
