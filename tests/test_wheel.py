"""The bare wheel, in an environment with nothing else, does what it says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PIPELINE = """
import sys
from PyDataStream import Pipeline

rows = [{"n": 1}, {"n": 2}, {"n": 3}]
kept = Pipeline("bare").read("memory", rows=rows).filter("n > 1").collect()
assert kept["n"].to_list() == [2, 3], kept
print(sorted({name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)))
"""


def run(*command: str | Path, folder: Path) -> str:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A folder with an environment in `bin` that holds the wheel and what it depends on."""
    folder = tmp_path_factory.mktemp("bare")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    run(*pip, "wheel", "--no-deps", "--wheel-dir", folder, ROOT, folder=folder)
    run(sys.executable, "-m", "venv", folder / "env", folder=folder)
    (wheel,) = folder.glob("*.whl")
    run(folder / "env/bin/pip", "install", "--quiet", wheel, folder=folder)
    return folder


def test_it_helps_and_lists(bare):
    assert "run" in run(bare / "env/bin/pds", "--help", folder=bare)
    assert "tumbling" in run(bare / "env/bin/pds", "list", folder=bare)


def test_it_runs_a_pipeline_and_loads_no_client_library(bare):
    loaded = run(bare / "env/bin/python", "-c", PIPELINE, folder=bare)
    for library in ("confluent_kafka", "redis", "zmq", "pymongo", "boto3", "numpy", "pytest"):
        assert f"'{library}'" not in loaded
