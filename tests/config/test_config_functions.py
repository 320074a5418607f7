"""Custom functions: files of the pipeline, run only when it is planned."""

import pytest

from pydatastream.config import loading
from pydatastream.core.errors import ConfigError
from pydatastream.planning import plan

STEPS = """
from __future__ import annotations
import polars as pl

def scale(rows: pl.DataFrame, factor: float = 2, *, label: str = "x") -> pl.DataFrame:
    return rows.with_columns(pl.col("a") * factor, pl.lit(label).alias("label"))

def each(row: dict, by: int = 1) -> dict:
    return {"a": row["a"] + by}

def _hidden(rows):
    return rows
"""
HEAD = "source: {type: file, path: x.jsonl, format: json, schema: {a: float}}\n"
TAIL = "output: {type: 'null'}\nfunctions: [my_steps.py]\n"


@pytest.fixture
def planned(tmp_path):
    def make(steps, environment=None, code=STEPS, **options):
        (tmp_path / "my_steps.py").write_text(code)
        (tmp_path / "p.yaml").write_text(f"{HEAD}processor:\n{steps}\n{TAIL}")
        return plan(loading.load(tmp_path / "p.yaml", environment or {}), **options)

    return make


def test_a_function_is_a_step_by_its_name(planned):
    short = planned("- scale: {factor: 3}")
    long = planned("- {function: scale, args: {factor: 3}}")
    assert short.fingerprint() == long.fingerprint()
    assert short.steps[0].name == "scale"
    assert short.steps[0].operator.type_name() == "map"
    assert short.steps[0].flow.schema.names() == ["a", "label"]
    assert "function=scale" in short.explain()


def test_a_function_of_a_row_goes_row_by_row(planned):
    assert planned("- each").steps[0].operator.type_name() == "map_rows"
    typed = planned("- {each: {by: 2}, schema: {a: int}}")
    assert str(typed.steps[0].flow.schema["a"]) == "Int64"


def test_map_names_a_function_as_text(planned):
    assert planned("- map: scale").steps[0].flow.schema.names() == ["a", "label"]


def test_arguments_are_read_as_their_annotations_say(planned):
    given = planned('- scale: {factor: " 3 ", label: 4x}').steps[0].operator
    assert given.args == {"factor": 3.0, "label": "4x"}


def test_the_environment_sets_arguments_that_the_file_does_not_have(planned):
    found = planned("- {scale: {}, name: up}", {"UP_FACTOR": "5", "UP_OTHER": "1"})
    assert found.steps[0].operator.args == {"factor": 5.0}
    assert found.origins["up.args.factor"] == "environment UP_FACTOR"


@pytest.mark.parametrize(
    ("steps", "what"),
    [
        ("- scal", "no function is called 'scal'"),
        ("- _hidden", "no function is called '_hidden'"),
        ("- scale: {facto: 3}", "no argument 'facto'"),
        ("- scale: {factor: much}", "factor must be of type float, found 'much'"),
        ("- scale: 3", "must be a mapping"),
        ("- {filter: a > 1, schema: {a: int}}", "only a custom function"),
    ],
)
def test_what_does_not_fit_is_said_with_its_place(planned, steps, what):
    with pytest.raises(ConfigError) as caught:
        planned(steps)
    assert what in caught.value.what
    assert "p.yaml:3:" in str(caught.value.where)


@pytest.mark.parametrize(
    ("code", "what", "line"),
    [
        ("x = 1\nraise ValueError('no')", "ValueError: no", 2),
        ("def broken(:\n", "SyntaxError", 1),
        ("import sys\n\nsys.exit(3)", "SystemExit: 3", 3),
    ],
)
def test_a_file_that_fails_is_named_with_its_line(planned, code, what, line):
    with pytest.raises(ConfigError) as caught:
        planned("- scale", code=code)
    assert what in caught.value.what
    assert str(caught.value.where).endswith(f"my_steps.py:{line}")


def test_loading_executes_nothing(tmp_path):
    mark = tmp_path / "executed"
    (tmp_path / "my_steps.py").write_text(f"open({str(mark)!r}, 'w')\ndef scale(rows): return rows")
    (tmp_path / "p.yaml").write_text(f"{HEAD}processor: [scale]\n{TAIL}")
    found = loading.load(tmp_path / "p.yaml")
    assert not mark.exists()
    with pytest.raises(ConfigError, match="Python is refused"):
        plan(found, python=False)
    assert not mark.exists()
    plan(found)
    assert mark.exists()


def test_a_missing_file_is_named(tmp_path):
    (tmp_path / "p.yaml").write_text(f"{HEAD}processor: [scale]\n{TAIL}")
    with pytest.raises(ConfigError, match=r"no Python file .*my_steps\.py"):
        plan(loading.load(tmp_path / "p.yaml"))
