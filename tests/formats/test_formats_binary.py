"""Binary records, against Python's struct module."""

from __future__ import annotations

import math
import struct

import polars as pl
import pytest

from pydatastream.core.errors import RowError, SchemaError
from pydatastream.core.times import EVENT_TIME
from pydatastream.formats.binary import BinaryFormat

ROWS = [(1, -1.5, 2**32 - 1, True, b"abcd"), (-(2**63), math.inf, 0, False, b"\0\1\2\3")]
NAMES = ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("sign", "<>!")
def test_a_layout_reads_and_writes_what_struct_does(sign):
    layout = f"{sign}qd2xI?4s"
    form = BinaryFormat(layout=layout, fields=NAMES)
    data = b"".join(struct.pack(layout, *row) for row in ROWS)
    schema = form.infer(b"")
    found = form.decoder(schema).decode(data)
    assert found.rows.rows() == ROWS
    assert form.encoder(schema).encode(found.rows) == data


def test_every_type_of_number():
    kinds = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32"]
    values = [-128, 255, -(2**15), 2**16 - 1, -(2**31), 2**32 - 1, -(2**63), 2**64 - 1, 0.5]
    for endian, sign in (("little", "<"), ("big", ">")):
        form = BinaryFormat(fields={kind: kind for kind in kinds}, endian=endian)
        data = struct.pack(f"{sign}bBhHiIqQf", *values) * 3
        assert form.decoder(form.infer(b"")).decode(data).rows.rows() == [tuple(values)] * 3


def test_times_are_microseconds():
    form = BinaryFormat(fields={"ts": "timestamp"})
    rows = form.decoder(form.infer(b"")).decode(struct.pack("<qq", 0, -1)).rows
    assert rows.schema == {"ts": EVENT_TIME}
    assert rows["ts"].to_physical().to_list() == [0, -1]


def test_a_torn_tail_is_a_dead_letter():
    form = BinaryFormat(fields={"n": "int32"})
    decoder = form.decoder(form.infer(b""))
    assert decoder.cut(b"x" * 11) == 8
    found = decoder.decode(struct.pack("<ii", 1, 2) + b"\xff\xff")
    assert found.rows["n"].to_list() == [1, 2]
    assert found.dead.row(0)[:2] == ("//8=", "base64")
    assert "ends within a record" in found.dead["error"].item()


@pytest.mark.parametrize("endian", ["little", "big"])
@pytest.mark.parametrize("prefix", [1, 2, 4, 8])
def test_records_with_their_length(endian, prefix):
    form = BinaryFormat(framing="length", prefix=prefix, endian=endian)
    rows = pl.DataFrame({"payload": [b"", b"abc", b"x" * 200]})
    data = form.encoder(rows.schema).encode(rows)
    assert data[:prefix] == bytes(prefix)
    assert data[prefix : 2 * prefix] == (3).to_bytes(prefix, endian)
    decoder = form.decoder(rows.schema)
    assert decoder.decode(data).rows.equals(rows)
    assert [decoder.cut(data[:n]) for n in (prefix - 1, prefix, 2 * prefix + 2)] == [
        0,
        prefix,
        prefix,
    ]
    assert decoder.decode(data[:-1]).dead.height == 1


def test_a_frame_of_the_wrong_size_is_a_dead_letter():
    form = BinaryFormat(framing="length", fields={"n": "int32"})
    frames = [struct.pack("<Ii", 4, 7), b"\x03\0\0\0abc", struct.pack("<Ii", 4, 8)]
    found = form.decoder(form.infer(b"")).decode(b"".join(frames))
    assert found.rows["n"].to_list() == [7, 8]
    assert found.dead["error"].item() == "3 bytes where a record has 4"


def test_a_length_beyond_the_end_is_a_dead_letter_not_an_allocation():
    form = BinaryFormat(framing="length")
    found = form.decoder(form.infer(b"")).decode(b"\xff\xff\xff\xffabc")
    assert (found.rows.height, found.dead.height) == (0, 1)


def test_messages_carry_one_record_each():
    form = BinaryFormat(fields={"n": "int16"})
    found = form.decoder(form.infer(b"")).decode_messages([b"\1\0", b"", b"\1\0\2\0", b"\2\0"])
    assert found.rows["n"].to_list() == [1, 2]
    assert found.dead.height == 2


def test_without_fields_and_lengths_a_message_or_a_file_is_one_record():
    form = BinaryFormat()
    rows = pl.DataFrame({"payload": [b"", b"\0\xff", b"abc"]})
    decoder, encoder = form.decoder(rows.schema), form.encoder(rows.schema)
    assert decoder.decode_messages(encoder.encode_messages(rows)).rows.equals(rows)
    assert (decoder.cut(b"abc"), decoder.decode(b"").rows.height) == (0, 0)
    assert decoder.decode(b"abc").rows["payload"].to_list() == [b"abc"]
    assert encoder.encode(rows) == b"\0\xffabc"


def test_null_is_nan_for_a_float_and_refused_for_others():
    form = BinaryFormat(fields={"f": "float64", "n": "int64"})
    encoder = form.encoder(form.infer(b""))
    rows = pl.DataFrame({"f": [None], "n": [1]}, schema=form.infer(b""))
    assert math.isnan(struct.unpack("<dq", encoder.encode(rows))[0])
    with pytest.raises(RowError, match="n is null"):
        encoder.encode(rows.with_columns(n=pl.lit(None, dtype=pl.Int64)))


def test_bytes_that_do_not_fit_are_refused():
    form = BinaryFormat(fields={"b": "bytes[2]"})
    encoder = form.encoder(form.infer(b""))
    assert encoder.encode(pl.DataFrame({"b": [b"x"]})) == b"x\0"
    with pytest.raises(RowError, match="3 bytes, its field 2"):
        encoder.encode(pl.DataFrame({"b": [b"xyz"]}))


def test_declared_text_is_read_from_bytes():
    form = BinaryFormat(fields={"s": "bytes[4]"})
    found = form.decoder(pl.Schema({"s": pl.String()})).decode(b"ab\0\0\xff\xff\xff\xff")
    assert found.rows["s"].to_list() == ["ab"]
    assert found.dead["error"].item() == "s: a value is not a string"


@pytest.mark.parametrize(
    "options",
    [
        {"layout": "<q"},
        {"layout": "<q", "fields": ["a", "b"]},
        {"layout": "<qP", "fields": ["a", "b"]},
        {"layout": "@q", "fields": ["a"]},
        {"layout": "<q", "fields": {"a": "int64"}},
        {"fields": ["a"]},
        {"fields": {"a": "in64"}},
        {"fields": {"a": "bytes[0]"}},
        {"layout": "<qq", "fields": ["a", "a"]},
        {"framing": "length", "prefix": 3},
    ],
)
def test_descriptions_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match=r"\w"):
        BinaryFormat(**options)


def test_columns_must_be_those_of_the_records():
    form = BinaryFormat(fields={"temperature": "float64"})
    with pytest.raises(SchemaError, match="did you mean 'temperature'"):
        form.decoder(pl.Schema({"temprature": pl.Float64()}))
    with pytest.raises(SchemaError, match="needs 'temperature' of type Float64, found String"):
        form.encoder(pl.Schema({"temperature": pl.String()}))
