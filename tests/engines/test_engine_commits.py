"""A source that is away for a while: what it is told, and since when it counts as silent."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import polars as pl
import pytest

from pydatastream.core.batch import Batch, Offset
from pydatastream.core.errors import RetryLater
from pydatastream.core.source import Read, Reader
from pydatastream.engines.local import partitions
from pydatastream.engines.local.partitions import Partition


class Deaf:
    """A reader that hears nothing for a while."""

    heard: list[Offset]
    deaf = True

    def __init__(self) -> None:
        self.heard = []

    def __iter__(self) -> Iterator[Batch]:
        yield Batch(pl.DataFrame({"id": [1]}), {"n": 1})

    def commit(self, offset: Offset) -> None:
        if self.deaf:
            raise RetryLater("nobody listens")
        self.heard.append(offset)

    def close(self) -> None: ...


def partition(reader: Reader) -> Partition:
    made = Partition("one", Read(pl.Schema({"id": pl.Int64})), lambda _: reader, threading.Event())
    assert made.next() is not None
    made.acked = {"n": 1}
    return made


def test_a_source_that_is_gone_does_not_end_the_run() -> None:
    reader = Deaf()
    one = partition(reader)
    assert one.next() is None
    assert one.backoff.waiting_for is not None
    assert one.backoff.waiting_for.startswith("nobody listens, ")  # and for how long
    reader.deaf = False
    one.next()
    assert reader.heard == [{"n": 1}]


def test_nor_at_its_end() -> None:
    one = partition(Deaf())
    one.close()
    one.close()
    assert one.acked == {"n": 1}


class Flaky(Deaf):
    """A reader that has nothing, and is gone now and then."""

    gone = False

    def __iter__(self) -> Iterator[Batch | None]:  # type: ignore[override]
        while not self.gone:
            yield None
        raise RetryLater("nobody is there")


def test_who_cannot_be_heard_is_not_silent() -> None:
    reader = Flaky()
    one = Partition("one", Read(pl.Schema({})), lambda _: reader, threading.Event())
    assert one.next() is None
    before = one.silent_since
    assert one.next() is None
    assert one.silent_since == before is not None
    reader.gone = True
    assert one.next() is None
    assert one.silent_since is None
    assert str(one.backoff.waiting_for).startswith("nobody is there, ")


def test_a_reader_is_well_again_though_nothing_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Flaky()
    reader.gone = True
    one = Partition("one", Read(pl.Schema({})), lambda _: reader, threading.Event())
    assert one.next() is None
    reader.gone = False
    assert one.next() is None
    assert one.backoff.waiting_for is not None
    monkeypatch.setattr(partitions, "HEALED", 0.0)
    assert one.next() is None
    assert one.backoff.waiting_for is None
