"""A new component is one file: everything that users see of it comes from there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = sorted(set((ROOT / "tests").rglob("test_*.py")) - {Path(__file__)})

STEP = '''
"""A step of somebody else's."""

from typing import ClassVar

import polars as pl

from pydatastream.core.operator import Flow, RowOperator


class Shout(RowOperator):
    """Write the text of a column in capitals."""

    primary: ClassVar[str] = "column"
    example: ClassVar[str] = "- shout: status"

    column: str
    """The column of text."""

    def flow(self, *inputs: Flow) -> Flow:
        return inputs[0]

    def transform(self, rows: pl.LazyFrame, flow: Flow) -> pl.LazyFrame:
        return rows.with_columns(pl.col(self.column).str.to_uppercase())
'''

SINK = '''
"""A sink of somebody else's."""

from typing import ClassVar

from pydatastream.core.sink import Delivery, Sink, Write, Writer


class WhisperSink(Sink):
    """Write rows where nobody looks.

    Delivery: at most once, since nothing is ever kept.
    """

    delivery: ClassVar[Delivery] = Delivery.AT_MOST_ONCE
    example: ClassVar[str] = "output: {type: whisper, softly: true}"

    softly: bool = False
    """Whether to be very quiet."""

    def open(self, job: Write) -> Writer:
        raise NotImplementedError
'''

PUBLIC = """
import json
from pydatastream import reference, schema
from pydatastream.catalog import catalog

print(json.dumps({
    "steps": catalog().names("operator"),
    "sinks": catalog().names("sink"),
    "schema": schema.pipeline_schema(),
    "step_page": reference.page("operator"),
    "sink_page": reference.page("sink"),
    "matrix": reference.support_matrix(),
    "delivery": reference.delivery_table(),
}))
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A folder that holds an installed package of two component files."""
    folder = tmp_path_factory.mktemp("strangers")
    (folder / "shout.py").write_text(STEP)
    (folder / "whisper.py").write_text(SINK)
    about = folder / "strangers-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: strangers\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[pydatastream.components]\nshout = shout\nwhisper = whisper\n"
    )
    return folder


@pytest.fixture(scope="module")
def run(package):
    """Run Python with the package installed; its output."""

    def ran(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(package), "NO_COLOR": "1", "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return ran


@pytest.fixture(scope="module")
def public(run):
    return json.loads(run("-c", PUBLIC))


def test_the_catalog_has_it(public):
    assert "shout" in public["steps"]
    assert "whisper" in public["sinks"]


def test_the_editor_knows_its_options(public):
    known = public["schema"]["$defs"]
    step = known["step"]["anyOf"][1]["properties"]["shout"]
    assert step["description"] == "Write the text of a column in capitals."
    assert {"$ref": "#/$defs/Shout"} in step["anyOf"]
    assert {"$ref": "#/$defs/WhisperSink"} in known["output"]["anyOf"]
    assert (
        known["WhisperSink"]["properties"]["softly"]["description"] == "Whether to be very quiet."
    )


def test_the_reference_explains_it(public):
    assert "## shout\n\nWrite the text of a column in capitals." in public["step_page"]
    assert "- shout: status" in public["step_page"]
    assert "| `column` | string | required | The column of text. |" in public["step_page"]
    assert "| `softly` | bool | `false` | Whether to be very quiet. |" in public["sink_page"]


def test_the_tables_have_a_line_for_it(public):
    assert "| `shout` | yes | not yet | not yet |" in public["matrix"]
    row = "| `whisper` | at most once | at most once, since nothing is ever kept. |"
    assert row in public["delivery"]


def test_the_contract_tests_take_it_up(run):
    contracts = [str(file) for file in TESTS if "catalog()" in file.read_text()]
    found = run("-m", "pytest", "--collect-only", "-p", "no:cacheprovider", *contracts)
    assert "[operator-shout]" in found
    assert "[sink-whisper]" in found


def test_the_house_tests_pass_on_it(run):
    run("-m", "pytest", "-p", "no:cacheprovider", "tests/test_house.py", "-k", "shout or whisper")


def test_the_command_lists_it(run):
    found = run("-m", "pydatastream", "list")
    assert "shout" in found
    assert "whisper" in found


def test_the_command_prints_its_schema(run):
    assert "Shout" in json.loads(run("-m", "pydatastream", "schema"))["$defs"]
