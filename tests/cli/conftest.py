"""The command in this process, in a folder of its own."""

import sys
from typing import NamedTuple

import pytest

from pydatastream.cli import main

READINGS = """\
{"device_id": "attic", "ts": "2026-01-01T12:00:05Z", "temperature": 21.5}
{"device_id": "cellar", "ts": "2026-01-01T12:00:10Z", "temperature": 8.0}
{"device_id": "attic", "ts": "2026-01-01T12:00:40Z", "temperature": 22.5}
{"device_id": "attic", "ts": "2026-01-01T12:03:02Z", "temperature": 23.0}
"""

MINUTES = """\
name: minutes
source:
  type: file
  path: readings.jsonl
  schema: {device_id: string, ts: timestamp, temperature: float}
  time: ts
processor:
  - filter: temperature > 10
  - tumbling: {size: 1m, by: [device_id], aggregate: {n: count(*), mean: avg(temperature)}}
output: {type: file, path: out/, format: json}
"""


class Said(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current directory, with readings and the pipeline minutes.yaml."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "readings.jsonl").write_text(READINGS)
    (tmp_path / "minutes.yaml").write_text(MINUTES)
    return tmp_path


@pytest.fixture
def pds(folder, monkeypatch, capsys):
    """Runs the command; gives its exit code and what it said."""

    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["pds", *arguments])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run
