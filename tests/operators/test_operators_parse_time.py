from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pydatastream.core.errors import RowError, SchemaError
from pydatastream.core.operator import Flow
from pydatastream.core.times import EVENT_TIME
from pydatastream.operators.parse_time import ParseTime


def parsed(values, dtype=pl.String, **options):
    rows = pl.DataFrame({"at": pl.Series(values, dtype=dtype)})
    step = ParseTime(column="at", **options)
    out = step.query(Flow(rows.schema))(rows.lazy()).collect()
    assert out.schema == step.flow(Flow(rows.schema)).schema
    return out[step.into or "at"].to_list()


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-07-01T12:00:00Z", utc(2024, 7, 1, 12)),
        ("2024-07-01T12:00:00+05:30", utc(2024, 7, 1, 6, 30)),
        ("2024-07-01 12:00:00.123456", utc(2024, 7, 1, 12, 0, 0, 123456)),
        ("2024-07-01", utc(2024, 7, 1)),
    ],
)
def test_iso_text(text, moment):
    assert parsed([text, None]) == [moment, None]


def test_text_without_offset_is_local_time():
    texts = ["2024-07-01T12:00:00", "2024-01-01", "2024-07-01T12:00:00Z", "2024-07-01 12:00:00-02"]
    assert parsed(texts, timezone="Europe/Berlin") == [
        utc(2024, 7, 1, 10),
        utc(2023, 12, 31, 23),
        utc(2024, 7, 1, 12),
        utc(2024, 7, 1, 14),
    ]


@pytest.mark.parametrize("text", ["2024-03-31T02:30:00", "2024-10-27T02:30:00"])
def test_hours_that_clocks_skip_or_repeat_are_invalid(text):
    with pytest.raises(RowError, match=r"column 'at': .* in Europe/Berlin"):
        parsed([text], timezone="Europe/Berlin")
    assert parsed([text], timezone="Europe/Berlin", invalid="null") == [None]
    assert parsed([f"{text}+02:00"], timezone="Europe/Berlin")[0] is not None


def test_formats():
    day = utc(2024, 3, 31)
    assert parsed(["31.03.2024 00:00"], format="%d.%m.%Y %H:%M") == [day]
    assert parsed(["31.03.2024 02:00 +0200"], format="%d.%m.%Y %H:%M %z") == [day]
    local = parsed(["31.03.2024 00:00"], format="%d.%m.%Y %H:%M", timezone="Europe/Berlin")
    assert local == [utc(2024, 3, 30, 23)]
    with pytest.raises(RowError) as error:
        parsed(["31/03"], format="%d.%m.%Y")
    assert error.value.what == "column 'at': '31/03' is no time of the form %d.%m.%Y"


@pytest.mark.parametrize(
    ("values", "dtype", "unit", "moment"),
    [
        ([1_700_000_000], pl.Int64, "s", utc(2023, 11, 14, 22, 13, 20)),
        ([1_700_000_000_123], pl.Int64, "ms", utc(2023, 11, 14, 22, 13, 20, 123000)),
        ([1_700_000_000.25], pl.Float64, "s", utc(2023, 11, 14, 22, 13, 20, 250000)),
        ([5_000], pl.Int32, "ns", utc(1970, 1, 1, 0, 0, 0, 5)),
    ],
)
def test_numbers(values, dtype, unit, moment):
    assert parsed([*values, None], dtype, unit=unit) == [moment, None]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_numbers_that_are_no_time(value):
    with pytest.raises(RowError, match="in s since 1970"):
        parsed([value], pl.Float64, unit="s")
    assert parsed([value, 0.0], pl.Float64, unit="s", invalid=None) == [None, utc(1970, 1, 1)]


def test_milliseconds_taken_for_seconds_are_out_of_range():
    with pytest.raises(RowError):
        parsed([1_700_000_000_000], pl.Int64, unit="s")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["2024-01-01T00:00:00Z", "2024-01-01", "x", None]), max_size=6))
def test_a_row_never_depends_on_its_neighbours(texts):
    together = parsed(texts, invalid="null")
    assert together == [parsed([text], invalid="null")[0] for text in texts]


def test_what_does_not_fit_is_refused_before_the_run(bench):
    for options, words in [
        ({"column": "n"}, "say what it counts"),
        ({"column": "status", "unit": "s"}, "`unit` is for numbers"),
        ({"column": "tags"}, "text or a number"),
        ({"column": "status", "into": "ts"}, "event time already"),
        ({"column": "m"}, "no column"),
    ]:
        with pytest.raises(SchemaError, match=words):
            ParseTime(**options).flow(bench.flow)
    with pytest.raises(ValidationError, match="Europe/Berlin"):
        ParseTime(column="status", timezone="Europe/Belin")


def test_it_may_write_another_column(bench):
    step = ParseTime.model_validate({"column": "n", "unit": "s", "as": "measured"})
    assert list(step.flow(bench.flow).schema)[-1] == "measured"
    assert step.flow(bench.flow).schema["measured"] == EVENT_TIME
    assert step.reads(frozenset({"measured"})) == {"n"}
