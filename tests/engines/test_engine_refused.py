"""A sink that refuses rows: they become dead letters of the same epoch, their neighbours live."""

from __future__ import annotations

from typing import Any, ClassVar

import polars as pl
import pytest
from engine_parts import KeepSink, KeepWriter, RowsSource, plan_of

from pydatastream.core.errors import RetryLater, RowError, StopError
from pydatastream.core.sink import Write
from pydatastream.engines.local.retry import Backoff
from pydatastream.engines.local.run import run
from pydatastream.engines.local.settings import Settings

BAD = [number for number in range(100) if number % 13 == 5]
GOOD = [number for number in range(100) if number % 13 != 5]


class PickyWriter(KeepWriter):
    def __init__(self, store: dict[str, Any], sink: PickySink) -> None:
        super().__init__(store)
        self.sink = sink

    def begin(self, epoch: int) -> None:
        self.sink.calls.append("begin")
        super().begin(epoch)

    def write(self, rows: pl.DataFrame) -> None:
        bad = [n for n, number in enumerate(rows["id"]) if number in self.sink.refuses]
        if bad:
            raise RowError("no such number", rows=bad if self.sink.knows else ())
        if self.sink.fails:
            self.sink.fails.pop()
            raise RetryLater("gone for a moment")
        super().write(rows)

    def publish(self, epoch: int) -> None:
        self.sink.calls.append("publish")
        super().publish(epoch)


class PickySink(KeepSink):
    """Refuses some rows; it may know which."""

    remote: ClassVar[bool] = True
    knows: bool = False
    refuses: ClassVar[list[int]] = BAD
    fails: ClassVar[list[int]] = []
    calls: ClassVar[list[str]] = []

    def open(self, job: Write) -> PickyWriter:
        return PickyWriter(self.stores.setdefault(self.key, {}), self)


class LockingSink(PickySink):
    """A sink that others wait for while an epoch of its is open."""

    locks: ClassVar[bool] = True


class BrokenWriter(KeepWriter):
    def publish(self, epoch: int) -> None:
        if self.staged and "broken" in self.store:
            del self.store["broken"]
            raise StopError("the disk is full")
        super().publish(epoch)


class BrokenSink(KeepSink):
    """Fails to publish once."""

    def open(self, job: Write) -> BrokenWriter:
        return BrokenWriter(self.stores.setdefault(self.key, {}))


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backoff, "wait", lambda self, error: True)
    PickySink.refuses, PickySink.fails, PickySink.calls = BAD, [], []


def ran(tmp_path, sink: KeepSink, dead: KeepSink):
    source = RowsSource(time="ts", time_unit="us")
    settings = Settings(checkpoint=tmp_path, interval=0, dead_letters=dead)
    return run(plan_of(source, sink=sink), settings)


def letters() -> list[str]:
    return [row["payload"] for row in KeepSink(key="dead").rows().to_dicts()]


@pytest.mark.parametrize("kind", [PickySink, LockingSink])
@pytest.mark.parametrize("knows", [False, True])
@pytest.mark.parametrize("fails", [0, 2])
def test_refused_rows_are_dead_letters_once(tmp_path, kind, knows: bool, fails: int) -> None:
    PickySink.fails = list(range(fails))
    report = ran(tmp_path, kind(knows=knows), KeepSink(key="dead"))
    assert PickySink().rows()["id"].sort().to_list() == GOOD
    assert [f'"id":{number},' in one for number, one in zip(BAD, letters(), strict=True)]
    assert set(KeepSink(key="dead").rows()["error"]) == {"no such number"}
    assert (report.rows_out, report.dead) == (len(GOOD), len(BAD))


@pytest.mark.parametrize("kind", [PickySink, LockingSink])
def test_a_crash_before_the_dead_letters_loses_none(tmp_path, kind) -> None:
    """The output has its epoch and is not asked again: what it refused is on record."""
    KeepSink.stores["dead"] = {"broken": True}
    with pytest.raises(StopError, match="disk is full"):
        ran(tmp_path, kind(), BrokenSink(key="dead"))
    PickySink.refuses = []
    before = PickySink().rows()["id"].to_list()
    ran(tmp_path, kind(), BrokenSink(key="dead"))
    found = PickySink().rows()["id"].to_list()
    dead = [number for number in BAD if any(f'"id":{number},' in one for one in letters())]
    assert sorted(found + dead) == list(range(100))
    assert len(letters()) == len(dead) > 0
    assert found[: len(before)] == before


def test_a_record_of_an_epoch_that_was_not_shown_does_not_count(tmp_path, monkeypatch) -> None:
    """What is refused at the first attempt and taken at the second is no dead letter."""
    with monkeypatch.context() as patch:
        patch.setattr(PickyWriter, "publish", _fails)
        with pytest.raises(StopError):
            ran(tmp_path, PickySink(), KeepSink(key="dead"))
    PickySink.refuses = []
    ran(tmp_path, PickySink(), KeepSink(key="dead"))
    assert PickySink().rows()["id"].to_list() == list(range(100))
    assert "epochs" not in KeepSink.stores["dead"] or not any(
        KeepSink.stores["dead"]["epochs"].values()
    )


def _fails(self: PickyWriter, epoch: int) -> None:
    if not self.staged:
        return KeepWriter.publish(self, epoch)
    raise StopError("no")


def test_a_locking_sink_is_begun_when_it_is_published(tmp_path) -> None:
    ran(tmp_path, LockingSink(), KeepSink(key="dead"))
    assert PickySink.calls == ["begin", "publish"] * (len(PickySink.calls) // 2)


def test_rows_taken_before_and_refused_when_repeated_stop_the_run(tmp_path, monkeypatch) -> None:
    PickySink.refuses = []

    publish = PickyWriter.publish

    def forgets(self: PickyWriter, epoch: int) -> None:
        if self.staged:
            PickySink.refuses = BAD
            raise RetryLater("gone")
        publish(self, epoch)

    monkeypatch.setattr(PickyWriter, "publish", forgets)
    with pytest.raises(StopError, match="took before"):
        ran(tmp_path, PickySink(), KeepSink(key="dead"))
