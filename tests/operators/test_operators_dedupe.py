import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatastream.core.batch import CLOCK
from pydatastream.core.errors import SchemaError
from pydatastream.core.operator import Flow
from pydatastream.core.state import State
from pydatastream.operators import dedupe
from pydatastream.operators.dedupe import Dedupe

STREAM = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 300)), max_size=60)


def expected(stream, within, lateness):
    """By the definition, row by row: what is kept, and what is late."""
    clock, kept, passed, late = -(10**9), {}, [], []
    for number, (key, time) in enumerate(stream):
        if time + lateness < clock:
            late.append(number)
        elif all(abs(time - other) >= within for other in kept.get(key, [])):
            kept.setdefault(key, []).append(time)
            passed.append(number)
        clock = max(clock, time)
    return passed, late


def stream_of(bench, stream):
    keys, times = [key for key, _ in stream], [time for _, time in stream]
    return bench.clocked(bench.rows(device_id=keys, ts=times, n=list(range(len(stream)))))


def with_watermarks(pieces):
    """Each piece, then the watermark that the engine would tell."""
    highest = -(2**40)
    for piece in pieces:
        yield piece
        highest = max(highest, piece["ts"].to_physical().max() // 10**6)
        yield highest


@settings(max_examples=150, deadline=None)
@given(STREAM, st.lists(st.integers(1, 20), max_size=8), st.integers(1, 90), st.integers(0, 120))
def test_it_does_what_its_definition_says_however_batches_are_cut(
    bench, stream, sizes, within, lateness
):
    step = Dedupe(by=["device_id"], within=f"{within}s", lateness=f"{lateness}s")
    pieces = bench.cut(stream_of(bench, stream), sizes)
    out = bench.run(step, *with_watermarks(pieces))
    passed, late = expected(stream, within, lateness)
    assert (out["main"]["n"].to_list() if out else []) == passed
    assert (out["late"]["n"].to_list() if out else []) == late


@pytest.mark.parametrize("stalled", [0.0, 1.0])
@settings(max_examples=40, deadline=None)
@given(stream=STREAM, within=st.integers(1, 90))
def test_rounds_and_the_row_by_row_form_agree(bench, stalled, stream, within):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dedupe, "STALLED", stalled)
        step = Dedupe(by=["device_id"], within=f"{within}s", lateness="1h")
        out = bench.run(step, stream_of(bench, stream))
    assert out["main"]["n"].to_list() == expected(stream, within, 3600)[0]


def test_a_span_later_the_same_key_is_new(bench):
    rows = bench.rows(device_id=["a"] * 4, ts=[0, 599, 600, 1199])
    out = bench.run(Dedupe(by="device_id", within="10m"), rows)
    assert out["main"]["ts"].dt.epoch("s").to_list() == [0, 600]


def test_keys_of_several_columns_may_have_nulls(bench):
    rows = bench.rows(device_id=["a", "a", None, None], status=["x", None, "x", "x"], ts=[0] * 4)
    out = bench.run(Dedupe(by=["device_id", "status"], within="1m"), rows)
    assert out["main"].select("device_id", "status").rows() == [
        ("a", "x"),
        ("a", None),
        (None, "x"),
    ]


def test_a_row_without_a_key_is_dead_or_passes(bench):
    rows = bench.rows(device_id=["a", None, "a", None], ts=[0, 0, 0, 0], n=[1, 2, 3, 4])
    out = bench.run(Dedupe(by="device_id", within="1m"), rows)
    assert out["main"]["n"].to_list() == [1]
    assert out["dead"].select("n", "error").rows() == [
        (2, "the key is null: device_id"),
        (4, "the key is null: device_id"),
    ]
    kept = bench.run(Dedupe(by="device_id", within="1m", nulls="keep"), rows)
    assert kept["main"]["n"].to_list() == [1, 2, 4]


def test_a_row_without_a_time_is_dead(bench):
    rows = bench.rows(device_id=["a", "b"], ts=[None, 0])
    out = bench.run(Dedupe(by="device_id", within="1m"), rows)
    assert out["dead"]["error"].to_list() == ["the event time ts is null"]
    assert out["main"]["device_id"].to_list() == ["b"]


def test_without_a_clock_the_last_watermark_says_what_is_late(bench):
    step = Dedupe(by="device_id", within="10s", lateness="5s")
    late = bench.rows(device_id=["b", "b"], ts=[94, 95])
    out = bench.run(step, bench.rows(device_id=["a"], ts=[100]), 100, late)
    assert out["late"]["ts"].dt.epoch("s").to_list() == [94]
    assert CLOCK not in out["late"].columns


def test_what_can_no_longer_matter_is_forgotten(bench):
    state = State()
    kernel = Dedupe(by="n", within="10s").open(state, bench.flow)
    for start in range(0, 1000, 10):
        rows = bench.rows(n=list(range(start, start + 10)), ts=list(range(start, start + 10)))
        list(kernel.on_batch(rows))
        list(kernel.on_watermark((start + 9) * 10**6))
    assert state.frame("kept").height <= 60
    list(kernel.on_watermark(2**62))
    assert state.frame("kept").height, "the stream may have grown when it is run again"
    list(kernel.on_watermark(10**12))
    assert state.frame("kept") is None


def test_few_frames_hold_many_batches(bench):
    state = State()
    kernel = Dedupe(by="n", within="1h").open(state, bench.flow)
    for start in range(0, 2000, 10):
        list(kernel.on_batch(bench.rows(n=list(range(start, start + 10)), ts=[0] * 10)))
    assert state.frame("kept").height == 2000
    assert len(state.frames("kept")) <= 9


def test_state_of_another_polars_is_hashed_again(bench):
    state = State()
    step = Dedupe(by="n", within="1h")
    list(step.open(state, bench.flow).on_batch(bench.rows(n=[1, 2, 3], ts=[0, 0, 0])))
    wrong = pl.col(dedupe.HASH).rank("ordinal").cast(pl.UInt64)
    state.put("kept", state.frame("kept").with_columns(wrong))
    state.values["polars"] = "0.1"
    (passed, *_) = step.open(state, bench.flow).on_batch(bench.rows(n=[1, 2, 3, 4], ts=[0] * 4))
    assert passed["n"].to_list() == [4]


def test_it_is_checked_before_the_run(bench):
    with pytest.raises(SchemaError, match="event time"):
        Dedupe(by="n", within="1m").flow(Flow(bench.flow.schema))
    with pytest.raises(SchemaError, match="no column 'm'"):
        Dedupe(by="m", within="1m").flow(bench.flow)
    with pytest.raises(SchemaError, match="'tags' is list"):
        Dedupe(by="tags", within="1m").flow(bench.flow)
    assert Dedupe(by="n", within="1m").lateness_allowed() == 60 * 10**6
    assert Dedupe(by="n", within="1m", lateness="0s").lateness_allowed() == 0
