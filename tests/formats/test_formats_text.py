"""Lines of text, and what patterns and templates make of them."""

from __future__ import annotations

import polars as pl
import pytest

from pydatastream.core.errors import RowError, SchemaError
from pydatastream.formats.text import TextFormat

LINE = pl.Schema({"line": pl.String()})
PATTERN = r"^(?P<level>\w+) (?P<n>\S+)(?: (?P<rest>.*))?"


def test_every_line_is_a_row_and_so_is_an_empty_one():
    decoder = TextFormat().decoder(LINE)
    for data, lines in [
        (b"", []),
        (b"\n", [""]),
        (b"a\r\n\nb", ["a", "", "b"]),
        (b"a\n\n", ["a", ""]),
    ]:
        assert decoder.decode(data).rows["line"].to_list() == lines


def test_groups_are_columns_in_the_types_of_the_schema():
    schema = pl.Schema(
        {"n": pl.Int64(), "level": pl.String(), "rest": pl.String(), "line": pl.String()}
    )
    found = TextFormat(pattern=PATTERN).decoder(schema).decode(b"info 1\nwarn 2 it is\n")
    assert found.rows.rows() == [(1, "info", None, "info 1"), (2, "warn", "it is", "warn 2 it is")]


def test_a_line_that_does_not_match_is_a_dead_letter():
    schema = pl.Schema({"n": pl.Int64()})
    found = TextFormat(pattern=PATTERN).decoder(schema).decode(b"info 1\n!\nwarn x\n\xff 2\nok 3")
    assert found.rows["n"].to_list() == [1, 3]
    assert dict(found.dead.select("payload", "error").rows()) == {
        "!": "line does not match the pattern",
        "warn x": 'n: "x" is not an int',
        "/yAy": "line is not UTF-8",
    }


def test_the_pattern_gives_the_schema():
    assert TextFormat(pattern=PATTERN).infer(b"") == dict.fromkeys(
        ["level", "n", "rest"], pl.String
    )


@pytest.mark.parametrize(
    "pattern", ["(", "(?P<a>x{1000}{1000}{1000})", "(?=a)(?P<x>b)", "abc", "(a)"]
)
def test_a_bad_pattern_is_refused_at_once(pattern):
    with pytest.raises(ValueError, match="the pattern"):
        TextFormat(pattern=pattern)


def test_a_column_that_is_no_group_names_the_nearest():
    with pytest.raises(SchemaError, match="did you mean 'level'"):
        TextFormat(pattern=PATTERN).decoder(pl.Schema({"levle": pl.String()}))


def test_a_template_writes_rows():
    rows = pl.DataFrame({"a": ["x", None], "b": [1.5, 2.0]})
    encoder = TextFormat(template="{a}: {b} {{}}").encoder(rows.schema)
    assert encoder.encode(rows) == b"x: 1.5 {}\n: 2.0 {}\n"
    assert encoder.encode_messages(rows) == [b"x: 1.5 {}", b": 2.0 {}"]
    assert encoder.encode(rows[:0]) == b""


@pytest.mark.parametrize("template", ["{}", "{a.__class__}", "{a[0]}", "{a!r}", "{a:>5}"])
def test_a_template_holds_names_only(template):
    with pytest.raises(ValueError, match="template"):
        TextFormat(template=template)


def test_a_template_names_columns_that_are_there():
    with pytest.raises(SchemaError, match="'c'"):
        TextFormat(template="{c}").encoder(pl.Schema({"a": pl.String()}))


def test_several_columns_need_a_template():
    with pytest.raises(SchemaError, match="template"):
        TextFormat().encoder(pl.Schema({"a": pl.String(), "b": pl.String()}))


def test_a_line_break_cannot_be_written():
    rows = pl.DataFrame({"line": ["a\nb"]})
    with pytest.raises(RowError, match="line break"):
        TextFormat().encoder(rows.schema).encode(rows)


def test_messages_may_hold_line_breaks_and_are_not_empty():
    found = TextFormat().decoder(LINE).decode_messages([b"a\nb", b"", b"c\n", b"\xff"])
    assert found.rows["line"].to_list() == ["a\nb", "c"]
    assert found.dead["error"].to_list() == ["the message is empty", "line is not UTF-8"]


def test_a_line_that_is_no_text_among_many():
    lines = [b"good"] * 9000
    lines[4000] = b"\xff"
    found = TextFormat().decoder(LINE).decode(b"\n".join(lines))
    assert (found.rows.height, found.dead.height) == (8999, 1)
