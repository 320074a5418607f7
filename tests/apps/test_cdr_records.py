"""Call records: each field as promised, each record by its number alone."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from urllib.parse import urlparse

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatastream.apps.cdr import records
from pydatastream.apps.cdr.options import DEV, PROD, Options, mode, moment
from pydatastream.apps.cdr.pools import pools
from pydatastream.apps.cdr.source import CallRecordsSource
from pydatastream.core.errors import ConfigError
from pydatastream.core.source import Read

START = datetime(2026, 1, 1, tzinfo=UTC)
WHOLE = 50_000


def drawn(start: int, stop: int, seed: int = 0) -> pl.DataFrame:
    return records.drawn(start, stop, seed, pools(seed), START, 5).collect()


def kind(name: str, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(
        pl.col(records.column(name, field)).alias(field) for field in records.KINDS[name]
    )


@pytest.fixture(scope="module")
def whole() -> pl.DataFrame:
    return drawn(0, WHOLE)


def test_the_fields_of_data_use(whole):
    rows = kind("cdr_data", whole)
    assert rows.columns == [
        "msisdn", "tower_id", "up_bytes", "down_bytes", "data_type", "ip_address", "website_url",
        "event_datetime",
    ]  # fmt: skip
    assert rows["msisdn"].str.contains(r"^\d{13}$").all()
    assert set(rows["tower_id"]) == set(range(1, 2001))
    for field in ("up_bytes", "down_bytes"):
        assert 100_000 <= rows[field].min() < 101_000
        assert 999_000 < rows[field].max() <= 1_000_000
    assert set(rows["data_type"]) == {"video", "audio", "image", "text", "application"}
    addresses = [ipaddress.ip_address(one) for one in rows["ip_address"].unique()]
    assert all(one.version == 4 and one.is_global for one in addresses)
    assert all(urlparse(one).scheme in ("http", "https") for one in rows["website_url"].unique())
    assert rows["event_datetime"][0] == START


def test_the_fields_of_calls(whole):
    rows = kind("cdr_voice", whole)
    assert rows.columns == [
        "msisdn", "tower_id", "call_type", "dest_nr", "call_duration_sec", "start_time",
    ]  # fmt: skip
    assert set(rows["tower_id"]) == set(range(1, 2001))
    assert set(rows["call_type"]) == {"voice", "video"}
    assert set(rows["call_duration_sec"]) == set(range(1, 1801))
    assert (rows["msisdn"] != rows["dest_nr"]).all()


def test_times_are_those_of_the_rate(whole):
    for time in ("cdr_data_event_datetime", "cdr_voice_start_time"):
        steps = whole[time].diff().drop_nulls().dt.total_microseconds()
        assert set(steps) == {200_000}


@given(st.integers(0, WHOLE), st.integers(0, 500))
@settings(max_examples=20)
def test_any_block_can_be_made_alone(start, size):
    stop = min(start + size, WHOLE)
    assert drawn(start, stop).equals(drawn(0, stop)[start:])


def test_another_seed_gives_other_records(whole):
    other = drawn(0, WHOLE, seed=1)
    for field in ("tower_id", "up_bytes"):
        name = f"cdr_data_{field}"
        assert (whole[name] != other[name]).mean() > 0.99
    assert pools(0).digest() != pools(1).digest()


def test_no_column_follows_another(whole):
    numbers = whole.select(pl.col(pl.Int64)).drop("index")
    for one in numbers.columns:
        for other in numbers.columns:
            if one < other:
                assert abs(numbers.select(pl.corr(one, other)).item()) < 0.03, (one, other)


def source(**options) -> CallRecordsSource:
    given = {"count": 2_550, "rate": 5, "start": START, "lines": 100, "pools": pools(0).digest()}
    return CallRecordsSource(**(given | options))


def read(of: CallRecordsSource, rows: int = 1 << 20, **places) -> list:
    job = Read(records.SCHEMA, rows=rows, **places)
    return [one for one in of.open("records", job) if one is not None]


@pytest.mark.parametrize(("rows", "ends"), [(1, 26), (100, 26), (350, 9), (1 << 20, 1)])
def test_batches_end_where_files_do(rows, ends):
    batches = read(source(), rows)
    assert [one.offset["index"] % 100 for one in batches[:-1]] == [0] * (ends - 1)
    assert batches[-1].offset == {"index": 2_550}
    assert pl.concat([one.rows for one in batches])["index"].to_list() == list(range(2_550))


def test_reading_goes_on_and_ends_where_it_is_told():
    batches = read(source(), 100)
    again = read(source(), 300, resume=batches[3].offset, until=batches[9].offset)
    assert pl.concat([one.rows for one in again]).equals(
        pl.concat([one.rows for one in batches[4:10]])
    )
    assert not read(source(), resume=batches[-1].offset)


def test_a_pace_gives_whole_files_when_they_are_due():
    reader = iter(source(count=250, pace=500.0).open("records", Read(records.SCHEMA)))
    first = next(reader)
    assert first is None or first.rows.height % 100 == 0
    rows = [first, *reader]
    assert [one.offset["index"] for one in rows if one][-1] == 250
    assert "pace" not in source(pace=2.0).options(), "a run may go on at another pace"


def test_modes():
    assert mode({"USER": "ada"}) is DEV
    assert mode({}) is mode({"USER": ""}) is PROD
    assert (DEV.total_seconds, DEV.lines_per_second) == (86_400, 1)
    assert (PROD.total_seconds, PROD.lines_per_second) == (172_800, 5)
    assert (DEV.sftp_host, DEV.sftp_port, PROD.sftp_host, PROD.sftp_port) == (
        "localhost", 10022, "sftp", 22,
    )  # fmt: skip


def test_more_lines_in_a_second_than_in_a_file_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="two files would have one name(.|\n)*--line-count"):
        Options(60, 11, tmp_path, START, line_count=10)


def test_a_start_that_is_no_time_is_refused():
    assert moment("2026-01-01") == START
    assert moment("2026-01-01T01:00:00+01:00") == START
    with pytest.raises(ConfigError, match="--start 'soon' is no time"):
        moment("soon")
