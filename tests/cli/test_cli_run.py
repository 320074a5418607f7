"""pds run: what it writes, what it says, and where the rows went that failed."""

import json
import os
import pty
import subprocess
import sys

import pytest

LATE = '{"device_id": "attic", "ts": "2026-01-01T12:00:07Z", "temperature": 21.5}\n'
WARM = '{"device_id": "attic", "ts": "2026-01-01T12:03:05Z", "temperature": "warm"}\n'


def rows(folder) -> list[dict]:
    parts = sorted(folder.glob("part-*"))
    return [json.loads(line) for part in parts for line in part.read_text().splitlines()]


def log(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def worse(folder):
    """More readings: one that comes late, two that cannot be read."""
    with (folder / "readings.jsonl").open("a") as file:
        file.write(LATE + WARM + WARM)
    return folder


def test_windows_are_written_and_the_counts_printed(pds, folder):
    said = pds("run", "minutes.yaml", "--json")
    assert said.code == 0
    counts = json.loads(said.out)
    assert (counts["rows_in"], counts["rows_out"], counts["filtered"]) == (4, 2, 1)
    assert [row["n"] for row in rows(folder / "out")] == [2, 1]
    assert not (folder / ".pds").exists()


def test_off_a_terminal_it_logs_json_lines(pds):
    said = pds("run", "minutes.yaml")
    start, end = log(said.err)
    assert start["delivery"]["output"].startswith("exactly once")
    assert (start["event"], end["event"], end["rows_in"]) == ("start", "end", 4)
    assert said.out == ""


def test_it_says_where_rows_went_that_failed_or_came_late(pds, worse):
    notes = [
        line["text"] for line in log(pds("run", "minutes.yaml").err) if line["event"] == "note"
    ]
    assert notes == [
        "2 dead letters in .pds/dead/minutes/: pds dlq show minutes.yaml",
        "1 row came too late for an open window: `lateness: 5s` at the step waits longer, "
        "`late: {type: file, path: late/}` keeps what is late",
    ]
    assert [row["step"] for row in rows(worse / ".pds/dead/minutes")] == ["source", "source"]


def test_late_rows_with_a_place_are_named_there(pds, worse):
    with (worse / "minutes.yaml").open("a") as file:
        file.write("late: {type: file, path: late/}\non_error: skip\n")
    notes = [
        line["text"] for line in log(pds("run", "minutes.yaml").err) if line["event"] == "note"
    ]
    assert notes == [
        "2 rows skipped that could not be processed (`on_error: skip`)",
        "1 row came too late for an open window: in late/",
    ]
    assert len(rows(worse / "late")) == 1
    assert not (worse / ".pds").exists()


def test_dead_letters_of_a_checkpoint_lie_in_it(pds, worse):
    pds("run", "minutes.yaml", "--checkpoint", ".pds/minutes", "-q")
    assert len(rows(worse / ".pds/minutes/dead")) == 2
    assert not (worse / ".pds/dead").exists()
    again = pds("run", "minutes.yaml", "--checkpoint", ".pds/minutes", "--json")
    assert again.code == 0
    assert json.loads(again.out)["rows_in"] == 0
    assert len(rows(worse / ".pds/minutes/dead")) == 2


def test_the_folder_of_a_checkpoint_is_made_by_the_first_dead_letter(pds, folder):
    run = ("run", "minutes.yaml", "--checkpoint", ".pds/minutes", "--json")
    assert pds(*run).code == 0
    assert not (folder / ".pds/minutes/dead").exists()
    with (folder / "readings.jsonl").open("a") as file:
        file.write(WARM)
    assert json.loads(pds(*run).out)["dead"] == 1
    assert len(rows(folder / ".pds/minutes/dead")) == 1
    assert json.loads(pds(*run).out)["dead"] == 0


def test_a_later_run_replaces_the_letters_of_the_last(pds, worse):
    pds("run", "minutes.yaml", "-q")
    assert len(rows(worse / ".pds/dead/minutes")) == 2
    (worse / "readings.jsonl").write_text(LATE)
    pds("run", "minutes.yaml", "-q")
    assert rows(worse / ".pds/dead/minutes") == []


def test_a_pipeline_in_python_runs(pds, folder):
    (folder / "p.py").write_text(
        "from pydatastream import Pipeline\n"
        "p = Pipeline('p').read('memory', rows=[{'n': 1}, {'n': 2}]).filter('n > 1')\n"
        "p = p.write('stdout')\n"
    )
    assert pds("run", "p.py", "-q").code == 0
    refused = pds("run", "p.py", "--no-python")
    assert refused.code == 2
    assert "Python files are refused here" in refused.err


def test_metrics_are_served_on_loopback_only(pds):
    said = pds("run", "minutes.yaml", "--metrics", "0.0.0.0:9")
    assert said.code == 2
    assert "loopback" in said.err


def started(folder, *arguments, **more):
    line = [sys.executable, "-m", "pydatastream", "run", "minutes.yaml", *arguments]
    return subprocess.Popen(line, cwd=folder, **more)


def test_on_a_terminal_it_draws(folder):
    ours, theirs = pty.openpty()
    with started(folder, stderr=theirs) as process:
        os.close(theirs)
        drawn = b""
        while True:
            try:
                drawn += os.read(ours, 1 << 16)
            except OSError:
                break
        assert process.wait() == 0
    os.close(ours)
    assert b"rows in" in drawn
    assert b'"event"' not in drawn


def test_off_a_terminal_what_draws_is_not_even_loaded(folder):
    text = (
        "import sys; sys.argv = ['pds', 'run', 'minutes.yaml']\n"
        "from pydatastream.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    print(end.code, 'rich' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", text], cwd=folder, capture_output=True, text=True)
    assert done.stdout == "0 False\n"


def test_ctrl_c_ends_the_epoch(folder):
    stream = (
        (folder / "minutes.yaml").read_text().replace("  time: ts", "  time: ts\n  follow: true")
    )
    (folder / "minutes.yaml").write_text(stream)
    with started(folder, "--json", "--checkpoint", "cp", stdout=subprocess.PIPE) as process:
        while not list(folder.glob("cp/checkpoint.db")):
            assert process.poll() is None
        for _ in range(200):
            if list(folder.glob("out/part-*")):
                break
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
        process.send_signal(2)
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert json.loads(out)["rows_in"] == 4


DEADLY = """
import os
def deadly(row):
    if row["n"] == 1:
        os._exit(137)
    return row
"""
CRASHING = """
name: minutes
functions: [steps.py]
source: {type: generate, count: 2, columns: {n: i}}
processor: [{deadly: {}}]
output: {type: file, path: out/, format: json}
checkpoint: cp
"""


def test_a_row_that_kills_the_process_is_set_aside(folder):
    (folder / "steps.py").write_text(DEADLY)
    (folder / "minutes.yaml").write_text(CRASHING)
    codes = [started(folder, "-q").wait() for _ in range(5)]
    assert codes == [137, 137, 137, 137, 0]
    assert [row["n"] for row in rows(folder / "out")] == [0]
    (letter,) = rows(folder / "cp/dead")
    assert (letter["payload"], letter["error"]) == (
        '{"n":1}',
        "the process died each time this row was processed",
    )
