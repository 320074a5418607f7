"""What waits goes on together, in order, and never more than fits."""

from __future__ import annotations

import queue

import polars as pl
from polars.testing import assert_frame_equal

from pydatastream.checkpoints import Epoch
from pydatastream.engines.local.events import Arrived, Slice, Tick
from pydatastream.engines.local.joining import (
    MOST,
    Rows,
    all_waiting,
    as_before,
    by_output,
    small,
    together,
)


def frame(*numbers: int) -> pl.DataFrame:
    return pl.DataFrame({"n": numbers}, schema={"n": pl.Int64})


def arrived(source: str, rows: pl.DataFrame, *, joined: bool = False) -> Arrived:
    piece = Slice(source, "part", None, {"at": 1}, 0, joined=joined)
    return Arrived(piece, rows, rows[:0], None)


def test_all_that_waits_is_taken_and_nothing_is_waited_for_twice() -> None:
    waiting: queue.Queue[int] = queue.Queue()
    assert all_waiting(waiting, 3, 0.001) == []
    for number in range(5):
        waiting.put(number)
    assert all_waiting(waiting, 3, 0.001) == [0, 1, 2]
    assert all_waiting(waiting, 3) == [3, 4]


def test_batches_of_one_source_go_together_while_they_are_small() -> None:
    a, b = (arrived(name, frame(1, 2)) for name in "ab")
    large = arrived("a", pl.select(n=pl.int_range(MOST)))
    tick = Tick("a", ["part"], 0)
    found = list(together([a, a, tick, a, b, large, b, b], small))
    assert found == [[a, a], tick, [a], [b], [large], [b, b]]
    assert list(together([a, a, a], lambda some, one: small(some, one, 4))) == [[a, a], [a]]


def test_batches_that_are_read_again_go_together_as_before() -> None:
    first, second = arrived("a", frame(1)), arrived("a", frame(2), joined=True)
    assert list(together([first, first, second], as_before)) == [[first], [first, second]]


def test_rows_for_one_output_go_together_up_to_the_end_of_an_epoch() -> None:
    epoch = Epoch(1, {})
    items = [Rows("a", frame(1)), Rows("b", frame(2)), Rows("a", frame(3)), epoch]
    *rows, end, last = by_output([*items, Rows("a", frame(4)), None])
    expected = [("a", frame(1, 3)), ("b", frame(2)), ("a", frame(4))]
    for found, (output, one) in zip([*rows, last], expected, strict=True):
        assert isinstance(found, Rows)
        assert found.output == output
        assert_frame_equal(found.rows, one)
    assert end is epoch


def test_large_frames_stay_apart() -> None:
    large = pl.select(n=pl.int_range(MOST))
    heights = [one.rows.height for one in by_output([Rows("a", large), Rows("a", frame(1))])]
    assert heights == [MOST, 1]
