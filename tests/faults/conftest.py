"""Children to kill, a place for them, and the sum of all that became of the rows."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fault_pairs import Made, Pair, SinkTruth, SourceTruth
from fault_runs import Children, Totals, served

SHM = Path("/dev/shm")  # noqa: S108 - syncing costs nothing there, and a kill does not need it


@pytest.fixture(scope="session")
def children() -> Iterator[Children]:
    with served() as server:
        yield server


@pytest.fixture
def shm(tmp_path: Path) -> Iterator[Path]:
    """An empty folder in memory, where there is one."""
    if not SHM.is_dir():
        yield tmp_path
        return
    place = Path(tempfile.mkdtemp(prefix="pds-faults-", dir=SHM))
    yield place
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def made(request: pytest.FixtureRequest) -> Iterator[Made]:
    """Makes a pair of two truths, and cleans up."""
    pairs: list[Pair] = []

    def make(source: type[SourceTruth], sink: type[SinkTruth], **more: Any) -> Pair:
        more |= {"source": source, "sink": sink, "fixture": request.getfixturevalue}
        pairs.append(Pair("pair", "checkpoint:", lambda folder: None, (), **more))
        return pairs[-1]

    yield make
    for one in pairs:
        one.close()


@pytest.fixture(scope="session")
def tally(request: pytest.FixtureRequest) -> Iterator[Totals]:
    """All kills of this process; printed at its end."""
    totals = Totals()
    yield totals
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\nfaults: {totals}")
