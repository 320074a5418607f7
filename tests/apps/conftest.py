"""What the tests of whole systems share: topics filled past our own code, a folder of its own."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "connectors"))

from kafka_topics import Topics


@pytest.fixture
def topics(kafka_server):
    return Topics(kafka_server.address)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current directory, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
