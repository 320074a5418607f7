"""CSV: the facts of this format, and the cases of bad input that concern it."""

from __future__ import annotations

import csv
from io import StringIO

import polars as pl
import pytest

from pydatastream.core.errors import ConfigError, SchemaError
from pydatastream.core.times import EVENT_TIME
from pydatastream.formats.csv import CsvFormat

SCHEMA = pl.Schema({"id": pl.String(), "n": pl.Int64()})


def read(data, schema=SCHEMA, **options):
    form = CsvFormat(**options)
    size = form.header_size(data)
    return form.decoder(schema, data[:size]).decode(data[size:])


@pytest.mark.parametrize(
    ("line", "error"),
    [
        pytest.param(b"x,1,2", "3 cells where 2 are expected", id="19 extra"),
        pytest.param(b"x", "1 cells where 2 are expected", id="19 short"),
        pytest.param(b'"x,1', "quote that is not closed", id="19 unclosed quote"),
        pytest.param(b'x"y,1', "stands within a cell", id="19 stray quote"),
        pytest.param(b'"x"y,1', "stands within a cell", id="19 text after quote"),
        pytest.param(b"x,hot", 'n: "hot" is not an int', id="9 bad number"),
        pytest.param(b"x,1.0", 'n: "1.0" is not an int', id="9 float for int"),
        pytest.param(b"x,9223372036854775808", "is not an int", id="8 too large"),
        pytest.param(b"\xff,1", "not UTF-8", id="2 invalid utf-8"),
    ],
)
def test_a_bad_row_is_a_dead_letter_and_its_neighbours_live(line, error):
    found = read(b"id,n\na,1\n" + line + b'\nb,2\n"q",3\n')
    assert found.rows["id"].to_list() == ["a", "b", "q"]
    assert found.dead.height == 1
    assert error in found.dead["error"].item()


def test_a_short_and_a_long_row_do_not_make_up_for_each_other():
    found = read(b"id,n\nx\ny,1,2\nz,3\n")
    assert found.rows["id"].to_list() == ["z"]
    assert found.dead["payload"].to_list() == ["x", "y,1,2"]


def test_the_header_gives_the_order_and_more_columns():
    found = read(b"\xef\xbb\xbfextra,n,id\nz,1,x\n")
    assert found.rows.to_dicts() == [{"id": "x", "n": 1}]


@pytest.mark.parametrize(
    "data", [b"", b"id,n", b"id,n\n", b"\xef\xbb\xbfid,n\r\n", b"\xef\xbb\xbf"]
)
def test_nothing_but_a_header_is_no_rows(data):
    found = read(data)
    assert (found.rows.height, found.dead.height) == (0, 0)
    assert found.rows.schema == SCHEMA


def test_a_header_that_names_a_column_twice_is_refused():
    with pytest.raises(ConfigError, match="'id' twice"):
        read(b"id,n,id\n")


def test_a_header_without_a_column_names_the_nearest():
    with pytest.raises(ConfigError, match=r"no 'id'.*\n.*did you mean 'idd'"):
        read(b"idd,n\n")


@pytest.mark.parametrize("call", [read, CsvFormat().infer])
def test_lines_that_end_with_cr_alone_are_refused(call):
    with pytest.raises(ConfigError, match="CR alone"):
        call(b"id,n\ra,1\rb,2\r")


def test_crlf_and_blank_lines_are_read():
    found = read(b'id,n\r\n\r\na,1\r\n"b\r\nc",2\r\n\r\n')
    assert found.rows["id"].to_list() == ["a", "b\r\nc"]
    assert found.dead.is_empty()


def test_types_come_from_the_schema():
    found = read(b"id,n\n007,007\n1e5,1\nTRUE,2\n")
    assert found.rows["id"].to_list() == ["007", "1e5", "TRUE"]
    assert found.rows["n"].to_list() == [7, 1, 2]


def test_empty_cells_are_null_and_quoted_ones_are_text():
    found = read(b'id,n\n,\n"",""\nNA,NA\n', null_values=["NA"])
    assert found.rows.rows() == [(None, None), ("", None), (None, None)]


def test_one_column_may_have_empty_lines():
    found = read(b'id\na\n\n""\n', pl.Schema({"id": pl.String()}))
    assert found.rows["id"].to_list() == ["a", None, ""]


def test_numbers_may_have_spaces_around():
    schema = pl.Schema({"f": pl.Float64(), "b": pl.Boolean(), "t": EVENT_TIME})
    found = read(b"f,b,t\n 1.5 ,TRUE,2024-01-01T00:00:00Z\nnan,false,\n", schema)
    assert found.rows["f"].is_nan().to_list() == [False, True]
    assert found.rows["b"].to_list() == [True, False]
    assert found.dead.is_empty()


def test_without_header_the_cells_are_the_columns_of_the_schema():
    assert read(b"a,1\nb,2", header=False).rows.rows() == [("a", 1), ("b", 2)]
    inferred = CsvFormat(header=False).infer(b"a,1\nb,2\n")
    assert inferred == {"column_1": pl.String, "column_2": pl.Int64}


def test_other_signs():
    found = read(b"id;n\n'a;b''c';1\n", delimiter=";", quote="'")
    assert found.rows.rows() == [("a;b'c", 1)]


@pytest.mark.parametrize("options", [{"delimiter": ""}, {"delimiter": '"'}, {"quote": "ab"}])
def test_signs_that_cannot_be_are_refused(options):
    with pytest.raises(ValueError, match=r"delimiter|quote"):
        CsvFormat(**options)


@pytest.mark.parametrize(
    ("buffer", "size"),
    [
        (b"a,1\nb,2\nc", 8),
        (b'a,"1\nb,2\nc', 0),
        (b'a,"1\n2"\nb,', 8),
        (b'a,1\n"b\n', 4),
        (b'"a"', 0),
        (b'"a""\n"\n', 7),
        (b"", 0),
    ],
)
def test_a_line_break_between_quotes_ends_no_record(buffer, size):
    assert CsvFormat().decoder(SCHEMA, b"id,n\n").cut(buffer) == size


def test_reading_goes_on_after_a_quote_that_is_never_closed():
    lines = b"".join(b"row%d,%d\n" % (n, n) for n in range(5000))
    found = read(b'id,n\n"open,1\n' + lines)
    assert (found.rows.height, found.dead.height) == (5000, 1)


def test_inference_keeps_codes_as_text():
    form = CsvFormat()
    sample = b"a,b,c,d,e,f,g\n1,1.5,007,1e5,true,,2024-01-01T00:00:00Z\n-2,3,1,2e5,FALSE,,x\n"
    assert list(form.infer(sample).dtypes()) == [
        pl.Int64, pl.Float64, pl.String, pl.String, pl.Boolean, pl.String, pl.String,
    ]  # fmt: skip


def test_inference_of_nothing_asks_for_a_schema():
    with pytest.raises(SchemaError, match="declare `schema:`"):
        CsvFormat().infer(b"")


def test_cells_that_a_spreadsheet_would_run_are_guarded():
    rows = pl.DataFrame({"s": ["=1+1", "+a", "-a", "@x", "\tx", "\rx", "a=1"], "n": [-1] * 7})
    text = CsvFormat().encoder(rows.schema).encode(rows).decode()
    cells = [row[0] for row in csv.reader(StringIO(text, newline=""))]
    assert cells == ["'=1+1", "'+a", "'-a", "'@x", "'\tx", "'\rx", "a=1"]
    assert ",-1\n" in text
    bare = CsvFormat(guard=False).encoder(rows.schema).encode(rows)
    assert bare.startswith(b"=1+1,-1\n")


def test_another_reader_reads_the_same():
    rows = pl.DataFrame({"a": ['x"y', "b,c", "d\ne", "é"], "t": [0] * 4}).cast({"t": EVENT_TIME})
    encoder = CsvFormat().encoder(rows.schema)
    text = (encoder.start() + encoder.encode(rows) + encoder.end()).decode()
    found = list(csv.reader(StringIO(text, newline="")))
    assert found[0] == ["a", "t"]
    assert found[1:] == [[value, "1970-01-01T00:00:00.000000Z"] for value in rows["a"]]


def test_lists_are_refused_before_anything_is_written():
    with pytest.raises(SchemaError, match=r"'tags'.*\n.*`drop: tags`"):
        CsvFormat().encoder(pl.Schema({"tags": pl.List(pl.String())}))


def test_a_message_is_one_record():
    decoder = CsvFormat().decoder(SCHEMA)
    found = decoder.decode_messages(
        [b"a,1", b'"b\nc",2\n', b"", b"d,3\ne,4", b'"open', b'close",1']
    )
    assert found.rows.rows() == [("a", 1), ("b\nc", 2)]
    assert found.dead.height == 4


def test_bad_rows_among_many():
    lines = [b"a,1", b"\xff,1", b"short", b'q"q,1', b"b,x"] * 2000
    found = read(b"id,n\n" + b"\n".join(lines))
    assert (found.rows.height, found.dead.height) == (2000, 8000)
