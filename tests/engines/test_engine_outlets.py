"""A sink that goes away: its epoch is repeated, once, when it is back."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

import polars as pl
import pytest
from engine_parts import KeepSink, KeepWriter, Odd, RowsSource, plan_of

from pydatastream.core.errors import RetryLater
from pydatastream.core.sink import Write
from pydatastream.engines.local.retry import Backoff
from pydatastream.engines.local.run import run
from pydatastream.engines.local.settings import Settings


class ShyWriter(KeepWriter):
    def __init__(self, store: dict[str, Any], fails: dict[str, int]) -> None:
        super().__init__(store)
        self.fails = fails

    def _maybe(self, what: str) -> None:
        if self.fails.get(what, 0) > 0:
            self.fails[what] -= 1
            raise RetryLater("the sink went away")

    def begin(self, epoch: int) -> None:
        self._maybe("begin")
        super().begin(epoch)

    def write(self, rows: pl.DataFrame) -> None:
        self._maybe("write")
        super().write(rows)

    def publish(self, epoch: int) -> None:
        self._maybe("before publish")
        super().publish(epoch)
        self._maybe("after publish")


class ShySink(KeepSink):
    """A sink that fails so often at each call."""

    remote: ClassVar[bool] = True
    fails: ClassVar[dict[str, int]] = {}

    def open(self, job: Write) -> ShyWriter:
        return ShyWriter(self.stores.setdefault(self.key, {}), self.fails)


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backoff, "wait", lambda self, error: True)


@pytest.mark.parametrize("when", ["begin", "write", "before publish", "after publish"])
@pytest.mark.parametrize("times", [1, 3])
def test_nothing_is_lost_or_doubled(tmp_path, when: str, times: int) -> None:
    ShySink.fails = {when: times}
    source = RowsSource(time="ts", time_unit="us")
    report = run(plan_of(source, Odd(), sink=ShySink()), Settings(checkpoint=tmp_path, interval=0))
    assert ShySink.fails == {when: 0}
    assert ShySink().rows()["id"].to_list() == list(range(1, 100, 2))
    assert report.rows_out == 50


def test_stop_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backoff, "wait", lambda self, error: False)
    ShySink.fails = {"write": 10**6}
    stop = threading.Event()
    source = RowsSource(time="ts", time_unit="us")
    with pytest.raises(RetryLater, match="went away"):
        run(plan_of(source, Odd(), sink=ShySink()), Settings(stop=stop))
