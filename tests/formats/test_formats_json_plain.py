"""Lines read by our own C code: the same rows and dead letters as without it."""

from __future__ import annotations

import json
import math
import shutil
import struct

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pydatastream.formats.json import JsonFormat
from pydatastream.parts.decoding import json_lines
from pydatastream.parts.decoding.json_lines import plain_lines

SCHEMA = pl.Schema({"i": pl.Int64, "f": pl.Float64, "b": pl.Boolean, "s": pl.String})

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler: it is not there")


def plain(text, schema=SCHEMA, lines=None, max_depth=128):
    reader = plain_lines(schema, max_depth)
    assert reader, "there is a compiler, and json_lines.c was not compiled"
    return reader.rows(text, lines)


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.floats(-1e4, 1e4).map(lambda x: round(x, 3)),
    st.text(),
    st.text('ab"\\/\n\u00e9\u20ac\U0001f600\x00', max_size=20),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
fitting = st.fixed_dictionaries(
    {},
    optional={
        "i": st.none() | st.integers(-(10**18), 10**18),
        "f": st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-99, 99),
        "b": st.none() | st.booleans(),
        "s": st.none() | st.text(),
        "other": values,
    },
)
rows = st.lists(fitting | st.dictionaries(st.sampled_from("ifbsx"), values), max_size=8)


@st.composite
def written(draw):
    """Lines as programs write them: spaces or none, letters as they are or escaped."""
    comma, colon = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " : ")]))
    how = {"separators": (comma, colon), "ensure_ascii": draw(st.booleans())}
    end = draw(st.sampled_from(["\n", "\r\n", "\n\n", " \n"]))
    found = draw(rows)
    if draw(st.booleans()):
        found = [dict(reversed(row.items())) for row in found]
    return end.join(json.dumps(row, **how) for row in found).encode("utf-8", "surrogatepass")


@st.composite
def damaged(draw):
    """The same, with some bytes changed, taken out or put in."""
    text = bytearray(draw(written()))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        text[at : at + draw(st.integers(0, 2))] = draw(
            st.sampled_from([b"", b"\\", b'"', b"}", b"{", b",", b"\n", b"\xff", b"0", b"-", b"e"])
            | st.binary(max_size=2)
        )
    return bytes(text)


def both(text):
    """What the format makes of it, with the C code and without."""
    with_it = JsonFormat().decoder(SCHEMA)
    without = JsonFormat().decoder(SCHEMA)
    assert with_it._plain
    without._plain = None
    return with_it.decode(text), without.decode(text)


@given(written() | damaged())
@example(b'{"s":"\\u0000b"}')
@example(b'{"i":-0,"f":-0.0}\n{"f":-0}\n{"f":1E400}\n{"f":0e999}')
@example(b'{"f":0.000000000000000000000000123456789012345678}')
@example(b'{"s":"\\ud800"}\n{"s":"\\ude00"}\n{"s":"\\ud83d\\ude00"}\n{"x":"\\ud800"}')
@example(b'{"i":1,"i":2}\n{"i":1,"i":"x"}\n{"x":1,"x":2}')
@example(b'{"i":01}\n{"f":1.}\n{"f":.5}\n{"f":+1}\n{"x":01}\n{"x":[1,]}\n{"x":{}}')
@example(b'{"i":9223372036854775807}\n{"i":9223372036854775808}\n{"i":1.0}\n{"i":1e2}')
@example(b'\xef\xbb\xbf{"i":1}\n \n[1]\n{"i":1}{"i":2}\n{"i":1}x')
@example(b'{"s":"\xc3"}\n{"s":"\xc3\xa9 and some more of it"}\n{"x":"\xed\xa0\x80"}')
def test_rows_and_dead_letters_are_the_same_without_it(text):
    ours, polars = both(text)
    assert_frame_equal(ours.rows, polars.rows, check_exact=True)
    assert ours.dead.equals(polars.dead)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_a_float_is_the_nearest_one(numbers):
    text = "\n".join(f'{{"f":{number!r}}}' for number in numbers).encode()
    found = plain(text)
    if found is None:  # for the far ends of the scale another is asked
        assert any(not 1e-3 < abs(one) < 2**53 for one in numbers if one)
    else:
        assert [struct.pack("d", x) for x in found["f"]] == [struct.pack("d", x) for x in numbers]


@given(st.integers(1, 10**19 - 1), st.integers(0, 19))
@example(9007199254740993, 0)
@example(90071992547409925, 1)
def test_digits_and_a_point_are_rounded_as_python_does(digits, places):
    whole, part = divmod(digits, 10**places)
    text = f"{whole}.{part:0{places}d}" if places else f"{whole}.0"
    if len(text.replace(".", "").lstrip("0")) <= 19:
        assert plain(f'{{"f":{text}}}'.encode())["f"].to_list() == [float(text)]


@pytest.mark.parametrize(
    "line",
    [
        b'{"i":1,"f":2.5,"b":true,"s":"short"}',
        b'{"s":"longer than what stands in place","i":null}',
        '{"s":"é, or \\u00e9, \\ud83d\\ude00 \\n and \\"quoted\\""}'.encode(),
        b' { "i" : 1 , "other" : [ { "deep" : [ null , 1e5 ] } , "\\\\" ] } ',
        b'{"f":23.456789012345678}',
        b"{}",
    ],
)
def test_what_programs_write_is_plain(line):
    found = plain(line)
    expected = json.loads(line)
    assert found.rows(named=True) == [{name: expected.get(name) for name in SCHEMA}]


def test_what_was_compiled_of_another_text_is_not_called(monkeypatch):
    monkeypatch.setattr("zlib.crc32", lambda _: 1)
    assert json_lines._library.__wrapped__() is None


def test_a_text_in_several_parts_is_one(monkeypatch):
    monkeypatch.setattr(json_lines, "PART", 100)
    lines = [b'{"i":%d,"s":"%s"}' % (n, b"x" * (n % 40)) for n in range(500)]
    monkeypatch.setattr(pl, "thread_pool_size", lambda: 7)
    found = plain(b"\n".join(lines), lines=500)
    assert found["i"].to_list() == list(range(500))
    assert found["s"].str.len_bytes().to_list() == [n % 40 for n in range(500)]
    assert found.n_chunks() == 7
    assert plain(b"\n".join([*lines, b'{"i":"x"}'])) is None
    assert plain(b"\n".join(lines), lines=501) is None


def test_objects_deeper_than_allowed_are_not_plain():
    text = b'{"x":[[1]]}'
    assert plain(text, max_depth=3).height == 1
    assert plain(text, max_depth=2) is None


def test_columns_of_other_types_are_left_to_others():
    assert plain_lines(pl.Schema({"l": pl.List(pl.Int64)}), 128) is None
    assert plain_lines(pl.Schema({"d": pl.Decimal(20, 2)}), 128) is None


def test_no_columns_are_no_rows_less():
    assert JsonFormat().decoder(pl.Schema()).decode(b"{}\n{}").dead.height == 0


def test_a_message_is_one_row():
    decoder = JsonFormat().decoder(SCHEMA)
    found = decoder.decode_messages([b'{"i":1}\n{"i":2}', b"", b'{"i":\n3}'])
    assert found.rows["i"].to_list() == [3]
    assert found.dead.height == 2


def test_the_far_ends_of_the_scale_are_read_as_without_it():
    ours, polars = both(b'{"f":1e308}\n{"f":-1e-320}\n{"f":123456789012345678901234567890}')
    assert ours.rows.equals(polars.rows)
    assert not math.isinf(ours.rows["f"][0])
