"""What every source must hold, against what its system is known to contain."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import pytest
from contract_truth import SourceTruth, awkward, cases_of, numbered
from polars.testing import assert_frame_equal

from pydatastream.catalog import catalog
from pydatastream.core.batch import Batch
from pydatastream.core.errors import RetryLater
from pydatastream.core.flow import Flow
from pydatastream.core.plan import Output, Plan, SourceNode
from pydatastream.core.sink import Delivery, Sink, Write
from pydatastream.core.source import Read, Reader, Source
from pydatastream.engines.local.attempt import WAITING
from pydatastream.engines.local.publishing import QUEUED
from pydatastream.engines.local.run import run
from pydatastream.engines.local.settings import Settings
from pydatastream.engines.local.spool import opener

PATIENCE = 20.0
"""Seconds after which a source that does not end is thought to give nothing more."""

SLOW_ROWS = 240
"""Rows for a sink that is slow, many times what the queues hold when two come at a time."""

END = object()
"""What comes after the last batch."""

Portions = dict[str, list[Batch]]
"""Batches by partition."""


def cases() -> list[Any]:
    """Every truth of every source; a source without one has a case that fails."""
    names = catalog().names("source")
    return [case for name in names for case in cases_of("source", name)]


@pytest.fixture(params=cases())
def truth(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SourceTruth]:
    name, known = request.param
    if known is None:
        pytest.fail(f"nothing is known of source {name}: write tests/connectors/truth_{name}.py")
    made = known(tmp_path, request.getfixturevalue)
    yield made
    made.close()


class Place:
    """A seeded place, and the ways to read it."""

    def __init__(self, truth: SourceTruth, rows: pl.DataFrame, spool: Path) -> None:
        self.expected, self._spool = truth.seed(rows), spool
        self.source = truth.source()
        self.schema = self.expected.schema
        self.node = SourceNode("place", self.source, self.schema, Flow(self.schema))

    def open(self, partition: str, **job: Any) -> Reader:
        """A reader as the engine opens it: by way of a spool where rows come only once."""
        asked = Read(job.pop("schema", self.schema), **job)
        return opener(self._spool)(self.node, partition, asked)

    def partitions(self) -> Sequence[str]:
        """Those of the source, which as in the engine may be asked again."""
        for _ in range(round(PATIENCE / 0.1)):
            with suppress(RetryLater):
                return self.source.partitions()
            time.sleep(0.1)
        return self.source.partitions()

    def read(self, **job: Any) -> Portions:
        """All batches of all partitions; a stream without end is left when it has given all."""
        readers = {name: self.open(name, **job) for name in self.partitions()}
        wanted = None if self.source.bounded else self.expected.height
        return drained(readers, wanted)


def drained(readers: Mapping[str, Reader], wanted: int | None = None) -> Portions:
    """The batches of readers in turn: to their ends, or until so many rows have come."""
    found: Portions = {name: [] for name in readers}
    active = {name: iter(reader) for name, reader in readers.items()}
    deadline, left = time.monotonic() + PATIENCE, wanted
    while active and left != 0:
        assert time.monotonic() < deadline, f"{left} rows have not come"
        for name in list(active):
            batch = next(active[name], END)
            if batch is END:
                del active[name]
            elif isinstance(batch, Batch):
                found[name].append(batch)
                left = None if left is None else max(0, left - batch.rows.height)
    for reader in readers.values():
        reader.close()
    return found


def _rows(found: Portions) -> pl.DataFrame:
    return pl.concat([one.rows for batches in found.values() for one in batches])


def assert_same(found: pl.DataFrame, expected: pl.DataFrame) -> None:
    """The same rows; partitions may have come in any order."""
    assert_frame_equal(found.sort("id"), expected.sort("id"))


@pytest.fixture
def place(truth: SourceTruth, tmp_path: Path) -> Callable[[pl.DataFrame], Place]:
    return lambda rows: Place(truth, rows, tmp_path / "checkpoint")


Seeded = Callable[[pl.DataFrame], Place]


def test_every_value_is_read_as_it_was_put_there(truth: SourceTruth, place: Seeded) -> None:
    seeded = place(awkward(truth.carries))
    found = seeded.read()
    assert_same(_rows(found), seeded.expected)
    assert all(one.dead.is_empty() for batches in found.values() for one in batches)


def test_a_long_text_is_read(truth: SourceTruth, place: Seeded) -> None:
    if truth.carries(pl.String()):
        text = pl.Series("a_string", ["é" * (truth.longest // 2), "short"])
        seeded = place(pl.DataFrame([numbered(2), text]))
        assert_same(_rows(seeded.read()), seeded.expected)


@pytest.mark.proves
def test_reading_goes_on_after_every_offset_and_ends_exactly_where_it_should(
    truth: SourceTruth, place: Seeded
) -> None:
    seeded = place(awkward(truth.carries, 40))
    found = seeded.read(rows=3)
    assert_same(_rows(found), seeded.expected)
    for name, batches in found.items():
        if seeded.source.replayable:  # what comes but once comes as it is sent
            assert all(one.rows.height <= 3 for one in batches)
        for start in range(0, len(batches) - 1, 3):
            for end in {start + 1, len(batches) - 1}:
                job = {"resume": batches[start].offset, "until": batches[end].offset}
                again = drained({name: seeded.open(name, rows=2, **job)})
                expected = {name: batches[start + 1 : end + 1]}
                assert_frame_equal(_rows(again), _rows(expected))
                assert dict(again[name][-1].offset) == dict(batches[end].offset)


def test_only_the_columns_asked_for_are_read(truth: SourceTruth, place: Seeded) -> None:
    seeded = place(awkward(truth.carries))
    names = [seeded.expected.columns[-1], "id"]
    found = seeded.read(schema=seeded.expected.select(names).schema)
    assert_same(_rows(found), seeded.expected.select(names))


def test_where_nothing_is_no_row_comes(truth: SourceTruth, place: Seeded) -> None:
    seeded = place(awkward(truth.carries)[:0])
    for name in seeded.partitions():
        reader = seeded.open(name)
        for _, batch in zip(range(3), reader, strict=False):
            assert batch is None or batch.rows.is_empty()
        reader.close()


def test_a_reader_may_be_closed_at_any_time_and_twice(truth: SourceTruth, place: Seeded) -> None:
    seeded = place(awkward(truth.carries))
    for name in seeded.partitions():
        reader = seeded.open(name)
        reader.close()
        reader.close()
    for name in seeded.partitions():
        reader = seeded.open(name, rows=2)
        next(iter(reader))
        reader.close()
        reader.close()


def test_a_slow_sink_holds_the_reader_back(
    truth: SourceTruth, place: Seeded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows on their way are never more than the queues hold, and the sink: memory is bounded."""
    seeded = place(pl.DataFrame([numbered(SLOW_ROWS)]))
    counted = CountedOpen(type(seeded.source).open)
    monkeypatch.setattr(type(seeded.source), "open", counted.opener())
    settings = Settings(rows=2)
    sink = SlowSink()
    SlowSink.watch = lambda rows: settings.stop.set() if rows >= SLOW_ROWS else None
    output = Output("out", sink, "place", seeded.node.flow)
    SlowSink.counted = counted
    run(Plan("slow", (seeded.node,), (), (output,)), settings)
    assert SlowSink.rows == SLOW_ROWS
    batches = 2 * (WAITING + QUEUED) + 3 * max(1, len(counted.partitions))
    assert SlowSink.most <= counted.largest * batches


class CountedOpen:
    """Counts the rows that readers of a source have given."""

    def __init__(self, opened: Callable[..., Reader]) -> None:
        self.rows, self.largest, self.partitions = 0, 0, set[str]()
        self._opened = opened

    def opener(self) -> Callable[[Source, str, Read], Reader]:
        def open_counted(source: Source, partition: str, job: Read) -> Reader:
            self.partitions.add(partition)
            return CountedReader(self._opened(source, partition, job), self)

        return open_counted


class CountedReader:
    def __init__(self, reader: Reader, counted: CountedOpen) -> None:
        self._reader, self._counted = reader, counted
        self.commit, self.close = reader.commit, reader.close

    def __iter__(self) -> Iterator[Batch | None]:
        for batch in self._reader:
            height = batch.rows.height if batch is not None else 0
            self._counted.rows += height
            self._counted.largest = max(self._counted.largest, height)
            yield batch


class SlowSink(Sink):
    """Takes its time, and looks how far ahead the reader is."""

    delivery: ClassVar[Delivery] = Delivery.AT_MOST_ONCE
    counted: ClassVar[CountedOpen]
    watch: ClassVar[Callable[[int], None]]
    most: ClassVar[int] = 0
    rows: ClassVar[int] = 0

    def open(self, job: Write) -> SlowWriter:
        SlowSink.most = SlowSink.rows = 0
        return SlowWriter()


class SlowWriter:
    def begin(self, epoch: int) -> None: ...

    def write(self, rows: pl.DataFrame) -> None:
        time.sleep(0.001 * rows.height)
        SlowSink.most = max(SlowSink.most, SlowSink.counted.rows - SlowSink.rows)
        SlowSink.rows += rows.height
        SlowSink.watch(SlowSink.rows)

    def publish(self, epoch: int) -> None: ...

    def published(self) -> None: ...

    def close(self) -> None: ...
