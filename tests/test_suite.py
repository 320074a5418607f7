"""How the tests are run: one server for all that need it, and a second try that is told."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

GROUPED = """
import pathlib, pytest

@pytest.fixture
def redis_server():
    return None

@pytest.mark.parametrize("n", range(8))
def test_one(redis_server, worker_id, n):
    (pathlib.Path(__file__).parent / worker_id).touch()
"""

FAILING = """
import pathlib, pytest

SEEN = pathlib.Path(__file__).with_suffix(".seen")

@pytest.mark.parametrize("name", ["fine", "starved [a@b]", "wrong"])
def test_one(redis_server, name):
    assert name != "wrong"
    if name.startswith("starved") and not SEEN.exists():
        SEEN.touch()
        assert False

@pytest.fixture
def redis_server():
    return None
"""


def run(folder, text, *options):
    (folder / "conftest.py").write_text("from tests.conftest import *")
    (folder / "test_it.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadgroup", *options]
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    env["PYTHONPATH"] = str(ROOT)
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


def test_tests_of_one_server_run_in_one_process(tmp_path):
    done = run(tmp_path, GROUPED)
    assert done.returncode == 0, done.stdout
    assert len(list(tmp_path.glob("gw*"))) == 1


def test_what_failed_beside_others_runs_again_alone_and_twice_is_a_failure(tmp_path):
    done = run(tmp_path, FAILING, "--again")
    assert done.returncode == 1
    assert "2 failed beside others, and run once more, alone" in done.stdout
    assert "1 failed, 1 passed" in done.stdout.splitlines()[-1]


def test_what_passes_the_second_time_passes(tmp_path):
    done = run(tmp_path, FAILING.replace(', "wrong"]', "]"), "--again")
    assert done.returncode == 0, done.stdout
    assert "1 failed, 1 passed" in done.stdout
    assert "= 1 passed" in done.stdout.splitlines()[-1]
