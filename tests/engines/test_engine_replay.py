"""A source that goes away while the epoch of a crash is read again: it is waited for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from engine_parts import KeepSink, Odd, RowsReader, RowsSource, plan_of

from pydatastream.core import faults
from pydatastream.core.batch import Batch
from pydatastream.core.errors import RetryLater
from pydatastream.core.source import Read
from pydatastream.engines.local.retry import Backoff
from pydatastream.engines.local.run import run
from pydatastream.engines.local.settings import Settings


class ShyReader(RowsReader):
    def __iter__(self) -> Iterator[Batch | None]:
        for batch in super().__iter__():
            yield batch
            if ShySource.fails:
                ShySource.fails -= 1
                raise RetryLater("the source went away")


class ShySource(RowsSource):
    """Goes away after a batch, so often."""

    fails: ClassVar[int] = 0

    def open(self, partition: str, job: Read) -> ShyReader:
        return ShyReader(self, job)


SOURCE = ShySource(time="ts", time_unit="us")


@pytest.fixture
def crashed(tmp_path: Path) -> Iterator[Path]:
    """A checkpoint whose last epoch was published and not committed."""
    faults.arm("epoch.published:raise")
    with pytest.raises(OSError, match="fault"):
        run(plan_of(SOURCE, Odd()), Settings(checkpoint=tmp_path / "c"))
    faults.arm(None)
    yield tmp_path / "c"
    ShySource.fails = 0


def test_nothing_is_lost_or_doubled(crashed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backoff, "wait", lambda self, _: True)
    ShySource.fails = 4
    run(plan_of(SOURCE, Odd()), Settings(checkpoint=crashed))
    assert ShySource.fails == 0
    assert KeepSink().rows()["id"].to_list() == list(range(1, 100, 2))


def test_stop_ends_the_wait(crashed: Path) -> None:
    ShySource.fails = 10**6
    stop = threading.Event()
    stop.set()
    with pytest.raises(RetryLater, match="went away"):
        run(plan_of(SOURCE, Odd()), Settings(checkpoint=crashed, stop=stop))
