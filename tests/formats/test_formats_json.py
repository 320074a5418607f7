"""JSON lines: the facts of this format, and the cases of bad input that concern it."""

from __future__ import annotations

import base64
import json
import time

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatastream.core.errors import SchemaError
from pydatastream.core.times import EVENT_TIME
from pydatastream.formats.json import JsonFormat

SCHEMA = pl.Schema({"a": pl.Int64(), "f": pl.Float64(), "s": pl.String()})


def decoded(data, schema=SCHEMA, **options):
    return JsonFormat(**options).decoder(schema).decode(data)


def only_error(data, schema=SCHEMA, **options):
    """The error of the one bad record; its neighbours live."""
    good = b'{"a": 1}\n'
    found = decoded(good + data + b"\n" + good, schema, **options)
    assert found.rows["a"].to_list() == [1, 1]
    assert found.dead.height == 1
    alone = decoded(data, schema, **options)
    assert alone.dead.equals(found.dead)
    return found.dead["error"].item()


DEEP = b'{"a": ' + b"[" * 129 + b"]" * 129 + b"}"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        pytest.param(b'{"a": 1, "f": 2', "line is not JSON", id="1 truncated"),
        pytest.param(b'{"s": "\xff"}', "line is not JSON", id="2 invalid utf-8"),
        pytest.param(rb'{"s": "\ud800"}', "surrogate", id="3 lone high surrogate"),
        pytest.param(rb'{"s": "\udc00x"}', "surrogate", id="3 lone low surrogate"),
        pytest.param(rb'{"s": "\\ud800\udc00"}', "surrogate", id="3 escaped before lone"),
        pytest.param(rb'{"other": "\ud800"}', "surrogate", id="3 in a field not asked for"),
        pytest.param(b'{"f": NaN}', "line is not JSON", id="5 NaN"),
        pytest.param(b'{"f": -Infinity}', "line is not JSON", id="5 infinity"),
        pytest.param(b'{"f": 1e999}', "infinity", id="5 too large a float"),
        pytest.param(DEEP, "nested deeper than 128", id="6 nesting"),
        pytest.param(b'{"x": ' + b"[" * 20_000, "nested deeper", id="6 brackets never closed"),
        pytest.param(b"[" * 34_000, "nested deeper", id="6 only brackets"),
        pytest.param(b'{"a": 9223372036854775808}', "a: 9.2233720", id="8 too large an int"),
        pytest.param(b'{"a": "1"}', 'a: "1" is not an int', id="9 text for int"),
        pytest.param(b'{"a": 1.0}', "a: 1.0 is not an int", id="9 float for int"),
        pytest.param(b'{"f": "hot"}', 'f: "hot" is not a float', id="9 text for float"),
        pytest.param(b'{"f": true}', "f: true is not a float", id="9 bool for float"),
        pytest.param(b"[1]", "line is no JSON object: [1]", id="not an object"),
        pytest.param(b"null", "line is no JSON object: null", id="null"),
        pytest.param(b'{"a": 1} {"a": 2}', "line is not JSON", id="two objects"),
        pytest.param(b'{"a": 01}', "line is not JSON", id="leading zero"),
    ],
)
def test_a_bad_line_is_a_dead_letter_and_its_neighbours_live(line, error):
    found = only_error(line)
    assert error in found or (error.startswith("a: 9.22") and "9223372036854775808" in found)


def test_what_is_not_text_is_kept_as_base64():
    dead = decoded(b'{"s": "\xff"}').dead
    assert dead["encoding"].item() == "base64"
    assert base64.b64decode(dead["payload"].item()) == b'{"s": "\xff"}'


def test_nul_is_kept():
    assert decoded(rb'{"s": "a\u0000b"}').rows["s"].item() == "a\0b"


def test_a_pair_of_surrogates_is_one_character():
    assert decoded(rb'{"s": "\ud83d\ude00 \\ud800"}').rows["s"].item() == "\U0001f600 \\ud800"


def test_brackets_in_strings_are_no_nesting():
    text = "[" * 500
    assert decoded(json.dumps({"s": text}).encode()).rows["s"].item() == text


def test_nesting_up_to_the_limit_is_read():
    line = b'{"x": ' + b"[" * 127 + b"]" * 127 + b', "a": 1}'
    assert decoded(line).rows["a"].item() == 1
    assert "max_depth" in only_error(b'{"x": [[1]]}', max_depth=2)


def test_nan_is_null_if_it_is_allowed():
    lines = b'{"f": NaN, "s": "NaN"}\n{"f": -Infinity, "s": "say \\"NaN"}\n{"f": Infinity}'
    rows = decoded(lines, allow_nan=True).rows
    assert rows["f"].to_list() == [None] * 3
    assert rows["s"].to_list() == ["NaN", 'say "NaN', None]


def test_of_a_key_that_comes_twice_the_first_counts():
    found = decoded(b'{"a": 1, "a": "x"}\n{"a": "x", "a": 2}\njunk')
    assert found.rows["a"].to_list() == [1]
    assert found.dead.height == 2


@pytest.mark.parametrize(
    "line",
    [
        b'{"a": 1, "a": 1}',
        b'{"x": {"y": 1, "y" : 2}}',
        b'{"":1,"":2}',
        b'{"a":1,"b":[{"c":1,"c":2}]}',
    ],
)
def test_strict_refuses_a_key_that_comes_twice(line):
    found = decoded(line + b'\n{"a": 2}', strict=True)
    assert found.rows["a"].to_list() == [2]
    assert "comes twice" in found.dead["error"].item()


def test_strict_reads_what_is_right():
    line = b'{"a": 1, "s": "x\\":\\":", "x": {"a": [{"a": 1}, {"a": 2}]}, "t": "12:00:00"}'
    assert decoded(line, strict=True).rows["a"].to_list() == [1]


def test_text_columns_keep_other_values_as_their_json():
    lines = (
        b'{"s": 1}\n{"s": true}\n{"s": [1, "x"]}\n{"s": {"k": null}}\n{"s": 18446744073709551616}'
    )
    expected = ["1", "true", '[1, "x"]', '{"k": null}', "18446744073709551616"]
    assert decoded(lines).rows["s"].to_list() == expected


@pytest.mark.parametrize(
    ("dtype", "value", "word"),
    [
        (pl.Int8(), "300", "int8"),
        (pl.UInt8(), "-1", "uint8"),
        (pl.UInt64(), "-1", "uint64"),
        (pl.Float32(), "1e300", "float32"),
        (EVENT_TIME, '"hot"', "timestamp"),
        (EVENT_TIME, '"2024-02-30T00:00:00Z"', "timestamp"),
        (pl.Date(), '"2024-13-01"', "date"),
        (pl.Binary(), '"*"', "binary"),
        (pl.Decimal(38, 9), '"x"', "decimal"),
        (pl.Boolean(), "1", "bool"),
        (pl.List(pl.Int64()), '["x"]', "list[int]"),
        (pl.List(pl.Boolean()), "[1]", "list[bool]"),
        (pl.List(EVENT_TIME), '["2024-01-01", "x"]', "list[timestamp]"),
        (pl.Struct({"x": pl.Int64()}), '{"x": 1.5}', "struct"),
        (pl.Struct({"x": pl.Date()}), '{"x": "y"}', "struct"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_column(dtype, value, word):
    schema = pl.Schema({"a": pl.Int64(), "v": dtype})
    error = only_error(f'{{"v": {value}}}'.encode(), schema)
    assert error.startswith("v: ")
    assert word in error


def test_times_are_read_in_every_iso_form():
    texts = [
        "2024-01-01T00:00:00Z",
        "2024-01-01T02:00:00+02:00",
        "2024-01-01 00:00:00",
        "2024-01-01",
    ]
    lines = "\n".join(json.dumps({"t": text, "l": [text]}) for text in texts).encode()
    rows = decoded(lines, pl.Schema({"t": EVENT_TIME, "l": pl.List(EVENT_TIME)})).rows
    assert rows["t"].n_unique() == 1
    assert rows["l"].explode().to_list() == rows["t"].to_list()


def test_an_int_beyond_64_bits_is_exact_in_a_decimal():
    rows = decoded(b'{"d": 12345678901234567890123}', pl.Schema({"d": pl.Decimal(38, 9)})).rows
    assert str(rows["d"].item()) == "12345678901234567890123.000000000"


def test_blank_lines_and_crlf_are_no_records():
    assert decoded(b'\n \t\r\n{"a": 1}\r\n\r\n{"a": 2}').rows["a"].to_list() == [1, 2]


def test_a_byte_order_mark_is_no_record():
    assert JsonFormat().header_size(b'\xef\xbb\xbf{"a": 1}\n') == 3
    assert JsonFormat().header_size(b"") == 0


def test_a_message_may_be_printed_over_lines():
    decoder = JsonFormat().decoder(SCHEMA)
    found = decoder.decode_messages([b'{\n "a": 1\n}', b'{"a": 2}\n', b"", b'{"s": "a\nb"}', b" "])
    assert found.rows["a"].to_list() == [1, 2]
    assert found.dead.height == 3


def test_odd_messages_among_many():
    messages = [b'{"a": 1}'] * 20_000
    messages[100], messages[9000], messages[-1] = b"", b'{"s": "a\nb"}', b'{\n"a": 2}'
    found = JsonFormat().decoder(SCHEMA).decode_messages(messages)
    assert found.rows["a"].sum() == 19_997 + 2
    assert found.dead["payload"].to_list() == ["", '{"s": "a\nb"}']


def test_written_times_bytes_and_floats():
    rows = pl.DataFrame({"t": [0], "b": [b"\0\1"], "f": [float("nan")], "d": [5]}).cast(
        {"t": EVENT_TIME, "d": pl.Duration("us")}
    )
    line = JsonFormat().encoder(rows.schema).encode(rows)
    assert line == b'{"t":"1970-01-01T00:00:00.000000Z","b":"AAE=","f":null,"d":5}\n'


def test_inference_takes_every_field_of_any_row():
    lines = [
        {"i": 1, "f": 1, "n": None, "m": 1, "t": "2024-01-01T00:00:00Z", "l": []},
        {"f": 0.5, "m": "x", "l": [1, None, 2.5], "o": {"x": 1}, "big": 2**63},
        {"late": True, "o": {"y": "z"}, "e": {}},
    ]
    sample = b"\xef\xbb\xbf" + "\n".join(map(json.dumps, lines)).encode() + b'\njunk\n{"cut": '
    assert JsonFormat().infer(sample) == {
        "i": pl.Int64,
        "f": pl.Float64,
        "n": pl.String,
        "m": pl.String,
        "t": pl.String,
        "l": pl.List(pl.Float64),
        "o": pl.Struct({"x": pl.Int64, "y": pl.String}),
        "big": pl.String,
        "late": pl.Boolean,
        "e": pl.String,
    }


@pytest.mark.parametrize("sample", [b"", b"\n\n", b"junk\n", b"[1]\n"])
def test_inference_without_a_row_asks_for_a_schema(sample):
    with pytest.raises(SchemaError, match="declare `schema:`"):
        JsonFormat().infer(sample)


def test_inferred_rows_can_be_read():
    lines = b'{"a": {"b": [{"c": 1}, {"c": 2.5}]}, "x": 1}\n{"a": {"b": []}, "x": "y"}\n'
    found = decoded(lines, JsonFormat().infer(lines))
    assert (found.rows.height, found.dead.height) == (2, 0)


@pytest.mark.parametrize("bad", [b"junk", b'{"a": "x"}', rb'{"s": "\ud800"}', DEEP])
def test_many_bad_lines_cost_no_more_than_looking_at_each(bad):
    lines = [b'{"a": 1}', bad] * 20_000
    start = time.monotonic()
    found = decoded(b"\n".join(lines))
    assert (found.rows.height, found.dead.height) == (20_000, 20_000)
    assert time.monotonic() - start < 10


ANY = st.recursive(
    st.sampled_from([None, True, 1, -1, 2**63, 2**64, 1.5, "x", "1", "", "[{", "\ud800", 1e300]),
    lambda of: st.lists(of, max_size=2) | st.dictionaries(st.sampled_from("afsx"), of, max_size=3),
    max_leaves=4,
)
NESTED = pl.Schema(
    {
        "a": pl.Int64(),
        "f": pl.Float64(),
        "s": pl.List(pl.Boolean()),
        "x": pl.Struct({"a": pl.Int64()}),
    }
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    values=st.lists(ANY, min_size=1, max_size=6),
    cut=st.integers(0, 40),
    put=st.sampled_from(["", "", ',"a":"x"', ',"a":1', "}", "NaN", "\x0b", "\\", "1e999"]),
)
def test_a_line_is_judged_alone_as_among_others(values, cut, put):
    lines = [json.dumps(value) for value in values]
    lines[0] = lines[0][:cut] + put + lines[0][cut:]
    records = [line.encode() for line in lines]
    decoder = JsonFormat().decoder(NESTED)
    alone = [decoder.decode(record) for record in records]
    together = decoder.decode(b"\n".join(records))
    assert together.rows.equals(pl.concat([one.rows for one in alone]))
    every = pl.concat([one.dead for one in alone])
    assert sorted(together.dead.rows()) == sorted(every.rows())
