"""Contracts: properties that hold for whatever the catalog has."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zlib import crc32

import pytest
from contract_examples import Check, ForAll, NewStore
from contract_runs import FOLDER
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

SHORT, LONG = 8, 400
"""Streams on which a property is tried, and with --long."""


@pytest.fixture
def for_all(long: bool, request: pytest.FixtureRequest) -> ForAll:
    """Tries a property on examples: always the same few, or with --long many new ones.

    The few differ from test to test, so that together they are many.
    """

    def tried(check: Check, *args: SearchStrategy[Any], share: float = 1.0) -> None:
        profile = settings(
            max_examples=max(2, round((LONG if long else SHORT) * share)),
            deadline=None,
            database=None,
            phases=(Phase.explicit, Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        property_ = given(*args)(check)
        profile(property_ if long else seed(crc32(request.node.nodeid.encode()))(property_))()

    return tried


@pytest.fixture
def new_store() -> Iterator[NewStore]:
    """Makes directories for checkpoints, in memory where there is such: many are synced."""
    numbers, memory = itertools.count(), Path("/dev/shm")  # noqa: S108 - a place, no name
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as place:
        yield lambda: Path(place) / str(next(numbers))


@pytest.fixture(autouse=True)
def _in_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples name files that lie beside them."""
    monkeypatch.chdir(FOLDER)
