"""A source that comes after another: it listens, and gives nothing before the other has ended."""

from __future__ import annotations

import threading

import polars as pl
import pytest

from pydatastream import Pipeline
from pydatastream.connectors.memory import MemorySource
from pydatastream.core.errors import ConfigError
from pydatastream.core.source import Read, Reader

OPENED = threading.Event()
"""The live source listens."""


class SlowHistory(MemorySource):
    """Its rows come when the live source has long been listening."""

    def open(self, partition: str, job: Read) -> Reader:
        assert OPENED.wait(60)
        return super().open(partition, job)


class Live(MemorySource):
    """Says that it listens."""

    def open(self, partition: str, job: Read) -> Reader:
        OPENED.set()
        return super().open(partition, job)


def frame(times: list[int]) -> pl.DataFrame:
    return pl.DataFrame({"s": times})


def joined(history: list[int], live: list[int]) -> Pipeline:
    said = {"time": "s", "time_unit": "s"}
    old = SlowHistory(rows=frame(history), **said)
    new = Live(rows=frame(live), after="history", **said)
    both = Pipeline("seq").source(old, "history").source(new, "live")
    return both.union(inputs=["history", "live"])


@pytest.fixture(autouse=True)
def _not_yet_listening() -> None:
    OPENED.clear()


def test_history_comes_first_though_what_is_live_was_there_before_it() -> None:
    old, new = list(range(500)), list(range(1000, 1400))
    assert joined(old, new).collect()["s"].dt.epoch("s").to_list() == old + new


def test_windows_of_history_do_not_wait_and_what_is_live_goes_on_with_its_clock() -> None:
    windows = joined([0, 61, 125], [126, 30, 190]).tumbling("1m", n="count(*)")
    assert windows.collect()["n"].to_list() == [1, 1, 2, 1]  # the row of 30 is late


@pytest.mark.parametrize(
    ("after", "message"),
    [
        ("histroy", "no source is called 'histroy'\n  try: did you mean 'history'?"),
        ("live", "sources wait for each other: live -> live"),
        ("ticks", "'ticks' has no end, so nothing can come after it"),
    ],
)
def test_what_cannot_come_after_is_refused(after: str, message: str) -> None:
    rows = pl.DataFrame({"s": [1]})
    ticks = {"name": "ticks", "columns": {"s": "i"}}
    said = Pipeline().read("memory", rows, name="history").read("generate", **ticks)
    said = said.read("memory", rows, name="live", after=after).union(inputs=["history", "live"])
    with pytest.raises(ConfigError) as refused:
        said.write("null").write("null", input="ticks", name="n").plan()
    assert message in str(refused.value)
