"""Rows made from expressions: the same in any batch, at any resume, at any rate."""

import hashlib
import time
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatastream.connectors.generate import GenerateSource
from pydatastream.core.batch import Batch
from pydatastream.core.errors import ConfigError
from pydatastream.core.source import Read
from pydatastream.core.times import EVENT_TIME

COLUMNS = {
    "device": "concat('d', i % 10)",
    "ts": "t",
    "u1": "u",
    "u2": "u",
    "g1": "20 + 5 * g",
    "hot": "g1 > 25",
}


def source(**options: object) -> GenerateSource:
    return GenerateSource.model_validate({"columns": COLUMNS, "start": "2026-01-01", **options})


def batches(src: GenerateSource, **job: object) -> list[Batch]:
    reader = src.open("rows", Read(src.declared(), **job))
    return [batch for batch in reader if batch is not None]


def joined(found: list[Batch]) -> pl.DataFrame:
    return pl.concat([batch.rows for batch in found])


def test_the_schema_is_known_without_reading() -> None:
    src = source(count=3)
    wanted = {"device": pl.String, "ts": EVENT_TIME, "u1": pl.Float64, "u2": pl.Float64}
    assert (
        src.declared() == src.infer() == pl.Schema({**wanted, "g1": pl.Float64, "hot": pl.Boolean})
    )
    assert src.bounded
    assert not source().bounded
    assert joined(batches(src)).schema == src.declared()


def test_rows_are_numbered_and_timed() -> None:
    rows = joined(batches(source(count=12, step="250ms")))
    assert rows["device"].to_list()[9:] == ["d9", "d0", "d1"]
    assert rows["ts"][0] == datetime(2026, 1, 1, tzinfo=UTC)
    assert rows["ts"].diff().drop_nulls().unique().to_list() == [rows["ts"][1] - rows["ts"][0]]
    assert (rows["ts"][4] - rows["ts"][0]).total_seconds() == 1.0
    assert rows["hot"].to_list() == (rows["g1"] > 25).to_list()


def test_random_columns_are_spread_as_they_should_and_unrelated() -> None:
    rows = joined(batches(source(count=200_000)))
    assert rows["u1"].min() >= 0
    assert rows["u1"].max() < 1
    assert rows["u1"].mean() == pytest.approx(0.5, abs=0.01)
    assert rows["u1"].std() == pytest.approx(12**-0.5, abs=0.01)
    assert rows["g1"].mean() == pytest.approx(20, abs=0.1)
    assert rows["g1"].std() == pytest.approx(5, abs=0.1)
    pairs = rows.with_columns(before=pl.col("u1").shift(1)).drop_nulls()
    for one, other in (("u1", "u2"), ("u1", "g1"), ("u1", "before")):
        assert abs(pairs.select(pl.corr(one, other)).item()) < 0.02
    assert rows["u1"].n_unique() == rows.height


def published(number: int, *seed: str | int) -> float:
    """SplitMix64 as printed, in plain Python: a change would break old checkpoints."""
    text = "\0".join(map(str, seed)).encode()
    salt = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
    word = 2**64
    bits = (number + salt) * 0x9E3779B97F4A7C15 % word
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 % word
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB % word
    return ((bits ^ bits >> 31) >> 11) * 2.0**-53


def test_the_method_is_the_published_one() -> None:
    rows = joined(batches(source(count=1000, seed=7)))
    assert rows["u1"].to_list() == [published(number, 7, "u1") for number in range(1000)]
    other = joined(batches(source(count=1000, seed=8)))
    assert other["u1"].to_list() != rows["u1"].to_list()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.integers(1, 120), st.data())
def test_no_cut_and_no_resume_changes_the_rows(count: int, rows: int, data: st.DataObject) -> None:
    src = source(count=count)
    whole = joined(batches(src))
    found = batches(src, rows=rows)
    assert joined(found).equals(whole)
    bounds = [None, *(batch.offset for batch in found)]
    first = data.draw(st.integers(0, len(found) - 1))
    last = data.draw(st.integers(first, len(found) - 1))
    again = batches(src, resume=bounds[first], until=bounds[last + 1], rows=7)
    assert joined(again).equals(joined(found[first : last + 1]))
    assert dict(again[-1].offset) == dict(found[last].offset)


def test_a_start_of_now_is_kept_in_the_offset() -> None:
    src = source(start="now", count=20)
    found = batches(src, rows=5)
    assert abs(found[0].rows["ts"][0].timestamp() - time.time()) < 5
    time.sleep(0.01)
    assert joined(batches(src, until=found[1].offset)).equals(joined(found[:2]))
    assert joined(batches(src, resume=found[1].offset)).equals(joined(found[2:]))


def test_a_rate_is_kept_and_rows_do_not_wait() -> None:
    src = source(rate=10_000, start="now")
    assert src.spacing() == 100
    count, began, waits = 0, time.monotonic(), []
    for batch in src.open("rows", Read(src.declared())):
        if batch is not None:
            count += batch.rows.height
            waits.append(batch.rows.height)
        if time.monotonic() - began > 0.5:
            break
    elapsed = time.monotonic() - began
    assert (elapsed - 0.25) * 10_000 < count <= elapsed * 10_000
    assert sorted(waits)[len(waits) // 2] < 100


def test_a_slow_rate_yields_nothing_between_rows() -> None:
    reader = iter(source(rate=4).open("rows", Read(source().declared())))
    began = time.monotonic()
    found = [next(reader) for _ in range(5)]
    assert time.monotonic() - began < 1
    assert found.count(None) >= 3


def test_a_replay_does_not_wait_for_its_rate() -> None:
    src = source(rate=10, count=100)
    until = {"i": 100, "start": src.origin()}
    began = time.monotonic()
    assert joined(batches(src, until=until)).height == 100
    assert time.monotonic() - began < 1


def test_mistakes_are_refused() -> None:
    with pytest.raises(ValueError, match="start"):
        source(start="yesterday")
    with pytest.raises(ConfigError, match="'i'"):
        GenerateSource(columns={"i": "1"}).declared()
    with pytest.raises(ConfigError, match="temprature"):
        GenerateSource(columns={"a": "temprature + 1"}).declared()
