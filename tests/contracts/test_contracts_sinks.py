"""What every sink must hold, against what can be seen in its system."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from contract_truth import SinkTruth, awkward, cases_of, numbered
from polars.testing import assert_frame_equal

from pydatastream.catalog import catalog
from pydatastream.core.errors import Fenced, SinkLost
from pydatastream.core.sink import Delivery, Write, Writer
from pydatastream.engines.local.run import run
from pydatastream.engines.local.settings import Settings
from pydatastream.pipeline import Pipeline

ONCE = (Delivery.EXACTLY_ONCE, Delivery.EFFECTIVELY_ONCE)
"""Deliveries under which no reader sees what is not published, and nothing comes twice."""


def cases(*deliveries: Delivery) -> list[Any]:
    """Every truth of every sink of these deliveries; a sink without one has a case that fails."""
    sinks = catalog().all("sink")
    wanted = [one.type_name() for one in sinks if one.delivery in (deliveries or list(Delivery))]
    return [case for name in wanted for case in cases_of("sink", name)]


@pytest.fixture
def truth(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SinkTruth]:
    name, known = request.param
    if known is None:
        pytest.fail(f"nothing is known of sink {name}: write tests/connectors/truth_{name}.py")
    made = known(tmp_path, request.getfixturevalue)
    yield made
    made.close()


every_sink = pytest.mark.parametrize("truth", cases(), indirect=True)
sinks_of_once = pytest.mark.parametrize("truth", cases(*ONCE), indirect=True)
sinks_that_remember = pytest.mark.parametrize("truth", cases(Delivery.EXACTLY_ONCE), indirect=True)


@pytest.fixture
def opened(truth: SinkTruth) -> Iterator[Callable[..., Writer]]:
    """Opens writers as the engine does, and closes them at last."""
    writers: list[Writer] = []

    def open_writer(rows: pl.DataFrame, **more: Any) -> Writer:
        sink = truth.sink()
        sink.accepts(rows.schema)
        once = sink.delivery in ONCE
        job = Write(rows.schema, truth.name, "out", durable=True, transactional=once, **more)
        writers.append(sink.open(job))
        return writers[-1]

    yield open_writer
    for writer in writers:
        writer.close()


Opened = Callable[..., Writer]


def ids(*numbers: int) -> pl.DataFrame:
    return pl.DataFrame({"id": numbers}, schema={"id": pl.Int64})


def write(writer: Writer, epoch: int, *frames: pl.DataFrame) -> None:
    writer.begin(epoch)
    for rows in frames:
        writer.write(rows)


def publish(writer: Writer, epoch: int, *frames: pl.DataFrame) -> None:
    write(writer, epoch, *frames)
    writer.publish(epoch)


def seen(truth: SinkTruth, *frames: pl.DataFrame) -> None:
    """These rows are to be seen, and no others."""
    expected = pl.concat([truth.expected(rows) for rows in frames])
    found = truth.visible(frames[0].schema)
    expected = expected if truth.keeps else expected[:0]
    assert_frame_equal(found.sort("id"), expected.sort("id"))


@every_sink
def test_every_value_arrives_as_it_was_given(truth: SinkTruth, opened: Opened) -> None:
    rows = awkward(truth.carries)
    publish(opened(rows), 1, rows[:5], rows[5:])
    seen(truth, rows)


@every_sink
def test_a_long_text_arrives(truth: SinkTruth, opened: Opened) -> None:
    if truth.carries(pl.String()):
        text = pl.Series("a_string", ["é" * (truth.longest // 2), "short"])
        rows = pl.DataFrame([numbered(2), text])
        publish(opened(rows), 1, rows)
        seen(truth, rows)


@every_sink
def test_epochs_are_seen_one_after_the_other(truth: SinkTruth, opened: Opened) -> None:
    writer = opened(ids())
    publish(writer, 1, ids(1, 2))
    seen(truth, ids(1, 2))
    publish(writer, 2)
    publish(writer, 3, ids(3), ids(4))
    seen(truth, ids(1, 2, 3, 4))


@pytest.mark.proves
@every_sink
def test_published_twice_is_published_once(truth: SinkTruth, opened: Opened) -> None:
    writer = opened(ids())
    publish(writer, 1, ids(1, 2))
    writer.publish(1)
    writer.close()
    seen(truth, ids(1, 2))


@every_sink
def test_a_writer_may_be_closed_at_any_time_and_twice(truth: SinkTruth, opened: Opened) -> None:
    opened(ids()).close()
    writer = opened(ids())
    write(writer, 1, ids(1))
    writer.close()
    writer.close()


@sinks_of_once
def test_nothing_is_seen_before_it_is_published(truth: SinkTruth, opened: Opened) -> None:
    writer = opened(ids())
    publish(writer, 1, ids(1))
    write(writer, 2, ids(2, 3))
    seen(truth, ids(1))
    writer.close()
    seen(truth, ids(1))


@sinks_of_once
def test_an_attempt_that_failed_leaves_nothing(truth: SinkTruth, opened: Opened) -> None:
    """Begun anew by the same writer, and by another after the first has died."""
    writer = opened(ids())
    write(writer, 1, ids(1))
    publish(writer, 1, ids(2))
    write(writer, 2, ids(3))
    if truth.sink().locks:  # its death would end what it holds; nothing but closing does so here
        writer.close()
    publish(opened(ids()), 2, ids(4))
    seen(truth, ids(2, 4))


@sinks_of_once
def test_an_epoch_that_comes_again_after_a_restart_is_seen_once(
    truth: SinkTruth, opened: Opened
) -> None:
    """The same rows, as the engine makes them again when it could not commit."""
    writer = opened(ids())
    publish(writer, 1, ids(1))
    publish(writer, 2, ids(2, 3))
    writer.close()
    again = opened(ids())
    if (again.published() or 0) < 2:
        publish(again, 2, ids(2, 3))
    again.publish(2)
    publish(again, 3, ids(4))
    seen(truth, ids(1, 2, 3, 4))


@sinks_that_remember
def test_what_is_published_is_remembered(truth: SinkTruth, opened: Opened) -> None:
    writer = opened(ids())
    assert writer.published() is None
    publish(writer, 1, ids(1))
    publish(writer, 2)
    assert writer.published() == 2
    writer.close()
    assert opened(ids()).published() == 2


@sinks_that_remember
def test_who_was_replaced_while_out_of_reach_does_not_come_back(
    truth: SinkTruth, opened: Opened
) -> None:
    if truth.sink().remote:
        writer = opened(ids(), owner="one")
        publish(writer, 1, ids(1))
        writer.close()
        publish(opened(ids(), owner="one", again=True), 2, ids(2))
        publish(opened(ids(), owner="another"), 3, ids(3))
        with pytest.raises(Fenced):
            opened(ids(), owner="one", again=True)
        seen(truth, ids(1, 2, 3))


def pipeline(truth: SinkTruth, checkpoint: Path) -> None:
    """Run a pipeline that goes on where it ended."""
    read = Pipeline(truth.name).read("memory", ids(1, 2, 3)).to(truth.sink())
    run(read.plan(), Settings(checkpoint=checkpoint, interval=0))


@sinks_that_remember
def test_a_sink_that_has_lost_data_is_refused(truth: SinkTruth, tmp_path: Path) -> None:
    pipeline(truth, tmp_path / "checkpoint")
    seen(truth, ids(1, 2, 3))
    pipeline(truth, tmp_path / "checkpoint")
    seen(truth, ids(1, 2, 3))
    truth.lose()
    with pytest.raises(SinkLost):
        pipeline(truth, tmp_path / "checkpoint")


@sinks_that_remember
def test_a_checkpoint_that_is_older_than_the_sink_is_refused(
    truth: SinkTruth, tmp_path: Path
) -> None:
    pipeline(truth, tmp_path / "checkpoint")
    with pytest.raises(SinkLost):
        pipeline(truth, tmp_path / "another")
    seen(truth, ids(1, 2, 3))
