"""Messages as rows: what is beside a payload stands in its row, whatever cannot be read."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydatastream.core.errors import ConfigError
from pydatastream.formats.json import JsonFormat
from pydatastream.formats.parquet import ParquetFormat
from pydatastream.formats.text import TextFormat
from pydatastream.parts.decoding.sifting import KEPT
from pydatastream.parts.messaging.inbox import Inbox
from pydatastream.parts.messaging.messages import Carrier, texts

SCHEMA = pl.Schema({"n": pl.Int64(), "key": pl.String()})
DIGITS = TextFormat(pattern=r"(?<n>\d)")
PIECES = st.sampled_from([b'{"n":1}', b'{"n":2}', b"", b"no", b"\xff", b'{"n":\n3}', b"no\n", None])


def place(n: int) -> str:
    return f"offset {n}"


def read(payloads, keys, form=None, schema=SCHEMA):
    beside = {"key": pl.Series(keys, dtype=pl.Binary)} if "key" in schema else {}
    return Inbox(form or JsonFormat(), schema, ["key"]).read(payloads, place, beside)


@given(payloads=st.lists(PIECES, max_size=12), form=st.sampled_from([JsonFormat(), DIGITS]))
def test_each_message_is_its_own_row_or_a_letter_with_its_place(payloads, form):
    keys = [str(n).encode() for n in range(len(payloads))]
    whole = read(payloads, keys, form)
    assert whole.rows.height + whole.dead.height == len(payloads)
    alone = [read([one], [key], form) for one, key in zip(payloads, keys, strict=True)]
    expected = pl.concat([pl.DataFrame(schema=SCHEMA), *(one.rows for one in alone)])
    assert whole.rows.equals(expected, null_equal=True)
    died = [f"offset {n}" for n, one in enumerate(alone) if one.dead.height]
    assert [error.partition(":")[0] for error in whole.dead["error"]] == died


def test_a_key_that_is_no_text_is_a_letter_and_its_neighbours_live():
    found = read([b'{"n":1}', b'{"n":2}', b"no"], [b"\xff", b"b", None])
    assert found.rows.rows() == [(2, "b")]
    assert found.dead["payload"].to_list() == ['{"n":1}', "no"]
    assert found.dead["error"][0] == "offset 0: key: a value is not a string"


def test_long_messages_that_begin_alike_are_told_apart():
    start = b'{"n":1' + b" " * KEPT
    found = read([start + b"}", start, start + b"}"], [b"a", b"b", b"c"])
    assert found.rows["key"].to_list() == ["a", "c"]
    assert found.dead["error"][0].startswith("offset 1: ")


def test_only_what_is_beside_may_be_wanted():
    schema = pl.Schema({"key": pl.Binary()})
    assert read([b"no", None], [b"\xff", None], schema=schema).rows.rows() == [(b"\xff",), (None,)]


def test_only_the_payload_may_be_wanted():
    found = read([b'{"n":1}', None], [], schema=pl.Schema({"n": pl.Int64()}))
    assert found.rows.rows() == [(1,), (None,)]


def test_a_format_of_whole_files_is_refused():
    with pytest.raises(ConfigError, match="a format of records, found parquet"):
        Carrier(format=ParquetFormat()).form()


def test_keys_are_text_or_bytes():
    when = pl.Series([0]).cast(pl.Datetime("us", "UTC"))
    assert texts(when) == ["1970-01-01T00:00:00.000000Z"]
    assert texts(pl.Series([b"\xff", None])) == [b"\xff", None]
    assert texts(pl.Series([True, None])) == ["true", None]
