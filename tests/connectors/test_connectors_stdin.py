"""Standard input: rows as they come, until the writer is gone."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import TextIO

import polars as pl
import pytest

from pydatastream.connectors.stdin import StdinSource
from pydatastream.core.errors import ConfigError
from pydatastream.core.format import Decoded, StreamFormat
from pydatastream.core.source import Read

SCHEMA = pl.Schema({"line": pl.String})


class TermsFormat(StreamFormat):
    extension = "terms"

    def infer(self, sample: bytes) -> pl.Schema:
        return pl.Schema({sample.decode().split("\n")[0]: pl.String})

    def decoder(self, schema: pl.Schema, header: bytes = b"") -> "Terms":
        return Terms()

    def header_size(self, start: bytes) -> int:
        return start.find(b"\n") + 1 if start.startswith(b"#") else 0


class Terms:
    def cut(self, buffer: bytes) -> int:
        return buffer.rfind(b"\n") + 1

    def decode(self, records: bytes) -> Decoded:
        return Decoded(pl.DataFrame({"line": records.decode().splitlines()}, schema=SCHEMA))


@pytest.fixture
def writer(monkeypatch: pytest.MonkeyPatch) -> Iterator[TextIO]:
    end, start = os.pipe()
    with os.fdopen(end) as stdin, os.fdopen(start, "w", buffering=1) as out:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield out


def source(**options: object) -> StdinSource:
    return StdinSource.model_validate({"format": TermsFormat(), **options})


def test_it_says_what_it_is(writer: TextIO) -> None:
    assert source().bounded
    assert not source().replayable
    assert source().partitions() == ["stdin"]
    assert source().options() == {"format": "terms"}
    with pytest.raises(ConfigError, match="format"):
        StdinSource().open("stdin", Read(SCHEMA))


def test_lines_come_at_once_and_silence_is_none(writer: TextIO) -> None:
    reader = iter(source().open("stdin", Read(SCHEMA)))
    writer.write("one\ntwo\nthr")
    writer.flush()
    batch = next(reader)
    assert batch is not None
    assert batch.rows["line"].to_list() == ["one", "two"]
    assert batch.offset == {"at": 8}
    start = time.monotonic()
    assert next(reader) is None
    assert 0.05 < time.monotonic() - start < 0.5
    writer.write("ee\nlast")
    writer.close()
    rest = [line for one in reader if one for line in one.rows["line"]]
    assert rest == ["three", "last"]


def test_a_sample_is_not_taken_from_the_rows(writer: TextIO) -> None:
    threading.Timer(0.15, lambda: writer.write("one\ntwo\n")).start()
    assert source().infer() == pl.Schema({"one": pl.String})
    writer.close()
    found = [one for one in source().open("stdin", Read(SCHEMA)) if one]
    assert [line for one in found for line in one.rows["line"]] == ["one", "two"]


def test_a_header_comes_first_even_in_parts(writer: TextIO) -> None:
    reader = iter(source().open("stdin", Read(SCHEMA)))
    writer.write("#a,")
    writer.flush()
    assert next(reader) is None
    writer.write("b\none\n")
    writer.close()
    assert [line for one in reader if one for line in one.rows["line"]] == ["one"]


def test_nothing_at_all_is_no_row(writer: TextIO) -> None:
    writer.close()
    assert [one for one in source().open("stdin", Read(SCHEMA)) if one] == []


def test_much_is_read_in_portions_and_overlong_lines_set_aside(writer: TextIO) -> None:
    lines = [f"line {n}" for n in range(50_000)]
    text = "\n".join([*lines, "x" * 500_000, "end"]) + "\n"

    def write() -> None:
        with writer:
            writer.write(text)

    thread = threading.Thread(target=write)
    thread.start()
    job = Read(SCHEMA, rows=1000)
    found = [one for one in source(max_record=10_000).open("stdin", job) if one]
    thread.join()
    assert [line for one in found for line in one.rows["line"]] == [*lines, "end"]
    assert all(one.rows.height <= 1000 for one in found)
    assert pl.concat([one.dead for one in found])["payload"].to_list() == ["x" * 1024]
    assert found[-1].offset == {"at": len(text)}
