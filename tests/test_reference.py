"""The pages, tables and the schema say what the components say."""

import json

import jsonschema
import pytest

from pydatastream import reference
from pydatastream.catalog import catalog
from pydatastream.config import yaml_nodes
from pydatastream.config.loading import KEYS, loads
from pydatastream.core.errors import ConfigError
from pydatastream.schema import pipeline_schema

SCHEMA = pipeline_schema()
KINDS = ("source", "sink", "format", "operator")
COMPONENTS = [component for kind in KINDS for component in catalog().all(kind)]
FILE = {"type": "file", "path": "x", "format": "json"}


def problem(pipeline: dict[str, object]) -> str | None:
    found = jsonschema.Draft202012Validator(SCHEMA).iter_errors(pipeline)
    return next((error.message for error in found), None)


def pipeline_of(component: type) -> dict[str, object]:
    """The example of a component, in its place in a pipeline."""
    example = yaml_nodes.read(component.example, "example").plain()
    whole = {"source": FILE, "output": FILE}
    if component.kind == "operator":
        return {**whole, "processor": example if isinstance(example, list) else [example]}
    place = {"source": "source", "sink": "output", "format": "source"}[component.kind]
    if component.kind == "format":
        example = {**FILE, **(example if "format" in example else {"format": example})}
    return {**whole, place: example.get(place, example)}


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_has_every_part_of_a_pipeline_file():
    assert set(SCHEMA["properties"]) == set(KEYS)


@pytest.mark.parametrize("one", COMPONENTS, ids=lambda one: f"{one.kind}-{one.type_name()}")
def test_an_example_fits_the_schema(one):
    assert problem(pipeline_of(one)) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"processor": [{"filtre": "n > 1"}]},
        {"processor": [{"limit": {"rows": "many"}}]},
        {"source": {"type": "file"}},
        {"source": {"type": "flie", "path": "x"}},
        {"checkpoint": {"path": "x", "interval": "soon"}},
        {"processor": ["filter me"]},
        {"surprise": 1},
    ],
    ids=json.dumps,
)
def test_the_schema_refuses_what_the_loader_refuses(wrong):
    pipeline = {"source": FILE, "output": FILE, **wrong}
    assert problem(pipeline) is not None
    with pytest.raises(ConfigError):
        loads(json.dumps(pipeline), environment={})


@pytest.mark.parametrize(
    "right",
    [
        {"checkpoint": ".pds/x"},
        {"checkpoint": {"path": "x", "interval": "${EVERY:1s}"}},
        {"on_error": "skip"},
        {"on_error": {"policy": "dead_letter", "output": FILE}},
        {"processor": [{"mine": {"n": 1}}], "functions": "mine.py"},
        {"processor": [{"function": "filter", "args": {"where": "n > 1"}, "name": "own"}]},
        {"processor": [{"select": "n"}, {"select": ["n"]}]},
        {"output": "null", "late": {"type": "null"}},
        {"sources": {"a": FILE, "b": FILE}},
    ],
    ids=json.dumps,
)
def test_the_schema_takes_what_the_loader_takes(right):
    pipeline = {"source": FILE, "output": FILE, **right}
    if "sources" in right:
        del pipeline["source"]
    assert problem(pipeline) is None
    loads(json.dumps(pipeline), environment={})


@pytest.mark.parametrize(
    ("field", "word"),
    [
        ({"type": "integer"}, "int"),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, "float"),
        ({"type": "array", "items": {"type": "string"}}, "list[string]"),
        ({"enum": ["a", "b"]}, "a or b"),
        ({"$ref": "#/$defs/Mode"}, "fast or slow"),
        ({"$ref": "#/$defs/StreamFormat"}, "format"),
        ({}, "any"),
    ],
)
def test_types_are_written_in_words(field, word):
    assert reference.type_word(field, {"$defs": {"Mode": {"enum": ["fast", "slow"]}}}) == word


def test_a_bar_does_not_break_a_table():
    assert reference.table(["a", "b"], [["x|y", "z"]]).splitlines()[2] == "| x\\|y | z |"


def test_a_stale_page_is_named(tmp_path):
    (tmp_path / "fresh").write_text("as it should be")
    (tmp_path / "old").write_text("as it was")
    files = {tmp_path / name: "as it should be" for name in ("fresh", "old", "missing")}
    assert [path.name for path in reference.stale(files)] == ["old", "missing"]


def test_only_the_generated_block_of_a_page_is_written(tmp_path, monkeypatch, capsys):
    (tmp_path / "docs").mkdir()
    mine = "mine\n<!-- generated: promises -->\nold\n<!-- end -->\nmine too\n"
    for name in ("README.md", "docs/delivery.md"):
        (tmp_path / name).write_text(mine)
    monkeypatch.chdir(tmp_path)
    assert reference.main(["--check"]) == 1
    assert "README.md is stale: run `make gen`" in capsys.readouterr().err
    assert reference.main([]) == 0
    assert reference.main(["--check"]) == 0
    text = (tmp_path / "README.md").read_text()
    assert text.startswith("mine\n<!-- generated: promises -->\n| connector |")
    assert text.endswith("<!-- end -->\nmine too\n")


PROOFS = """import pytest

@pytest.mark.proves
@pytest.mark.parametrize("way", ["sink-null", "source-generate-sink-file-parts"])
def test_killed(way): ...

@pytest.mark.proves
@pytest.mark.parametrize("way", ["sink-null", "source-stdin"])
def test_a_contract(way): ...
"""


def test_the_test_that_proves_a_promise_is_found(tmp_path):
    (tmp_path / "conftest.py").write_text(
        "def pytest_addoption(parser): parser.addoption('--long', action='store_true')"
    )
    (tmp_path / "test_proofs.py").write_text(PROOFS)
    found = reference.proofs_in(tmp_path)
    assert found == {
        "sink-null": "test_proofs.py::test_killed[sink-null]",
        "source-generate": "test_proofs.py::test_killed[source-generate-sink-file-parts]",
        "sink-file": "test_proofs.py::test_killed[source-generate-sink-file-parts]",
        "source-stdin": "test_proofs.py::test_a_contract[source-stdin]",
    }
    assert "| `test_proofs.py::test_killed[sink-null]` |" in reference.delivery_table(found)
    assert "sink-console" in reference.unproven(tmp_path)


def test_a_promise_without_a_proof_fails_the_check(tmp_path, monkeypatch, capsys):
    for folder in ("docs", "tests"):
        (tmp_path / folder).mkdir()
    for name in ("README.md", "docs/delivery.md"):
        (tmp_path / name).write_text("mine\n")
    monkeypatch.chdir(tmp_path)
    assert reference.main([]) == 1
    assert reference.main(["--check"]) == 1
    assert "no test proves what sink-sql promises: write tests/connectors/truth_sql.py" in (
        capsys.readouterr().err
    )
