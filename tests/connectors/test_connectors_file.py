"""Files that do not change: which are read, in what portions, from and to where."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pydatastream.connectors.file import FileSource
from pydatastream.core.batch import Batch
from pydatastream.core.errors import ConfigError, SourceGap
from pydatastream.core.format import Decoded, StreamFormat
from pydatastream.core.source import Read

SCHEMA = pl.Schema({"line": pl.String})


class LinesFormat(StreamFormat):
    """Each line is a row; a first line that starts with # is a header."""

    extension = "lines"
    separator = b"\n"

    def infer(self, sample: bytes) -> pl.Schema:
        return SCHEMA

    def decoder(self, schema: pl.Schema, header: bytes = b"") -> "Lines":
        return Lines()

    def header_size(self, start: bytes) -> int:
        return start.find(b"\n") + 1 if start.startswith(b"#") else 0


class SlowLinesFormat(LinesFormat):
    """The same, found by `cut` alone."""

    separator = None


class Lines:
    def cut(self, buffer: bytes) -> int:
        return buffer.rfind(b"\n") + 1

    def decode(self, records: bytes) -> Decoded:
        return Decoded(pl.DataFrame({"line": records.decode().splitlines()}, schema=SCHEMA))

    def decode_messages(self, messages: Iterable[bytes]) -> Decoded:
        raise NotImplementedError


def source(path: Path | str, **options: object) -> FileSource:
    return FileSource.model_validate({"path": str(path), "format": LinesFormat(), **options})


def batches(src: FileSource, partition: str, **job: object) -> list[Batch]:
    reader = src.open(partition, Read(SCHEMA, **job))
    try:
        return [batch for batch in reader if batch is not None]
    finally:
        reader.close()


def lines(found: Iterable[Batch]) -> list[str]:
    return [line for batch in found for line in batch.rows["line"]]


def test_a_file_is_one_partition_and_its_last_line_needs_no_end(tmp_path: Path) -> None:
    (tmp_path / "a.lines").write_text("one\ntwo\nthree")
    src = source(tmp_path / "a.lines")
    assert src.partitions() == ["a.lines"]
    assert src.bounded
    assert src.replayable
    found = batches(src, "a.lines")
    assert lines(found) == ["one", "two", "three"]
    assert found[-1].offset["at"] == 13


def test_a_directory_gives_its_visible_files_and_a_glob_what_matches(tmp_path: Path) -> None:
    for name in ("b.lines", "a.lines", ".hidden", "_part", "deep/c.lines", "deep/.no/d.lines"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x\n")
    assert source(tmp_path).partitions() == ["a.lines", "b.lines"]
    assert source(tmp_path / "**/*.lines").partitions() == ["a.lines", "b.lines", "deep/c.lines"]
    assert source(tmp_path / "*/c.*").partitions() == ["deep/c.lines"]
    assert lines(batches(source(tmp_path / "**/*.lines"), "deep/c.lines")) == ["x"]


def test_empty_files_and_headers_alone_give_no_rows(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    (tmp_path / "header").write_text("#a,b\n")
    (tmp_path / "rows").write_text("#a,b\n1\n2\n")
    assert batches(source(tmp_path), "empty") == []
    assert batches(source(tmp_path), "header") == []
    assert lines(batches(source(tmp_path), "rows")) == ["1", "2"]


def test_a_path_that_leads_nowhere_names_what_is_near(tmp_path: Path) -> None:
    (tmp_path / "sensors.jsonl").write_text("")
    with pytest.raises(ConfigError, match=r"(?s)no such file.*did you mean 'sensors.jsonl'"):
        source(tmp_path / "sensor.jsonl").partitions()
    with pytest.raises(ConfigError, match="no file matches"):
        source(tmp_path / "*.csv").partitions()
    with pytest.raises(ConfigError, match="no such file"):
        source(tmp_path / "no" / "where.csv", follow=True).partitions()
    assert source(tmp_path / "later.log", follow=True).partitions() == ["later.log"]
    assert source(tmp_path / "*.later", follow=True).partitions() == []


def test_only_regular_files_inside_the_root_are_read(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_text("secret\n")
    (root / "real").write_text("real\n")
    (root / "inside").symlink_to(root / "real")
    (root / "outside").symlink_to(tmp_path / "secret")
    (root / "up").symlink_to("..", target_is_directory=True)
    os.mkfifo(root / "fifo")
    assert source(root).partitions() == ["inside", "real"]
    assert source(root / "**/*").partitions() == ["inside", "real"]
    for name in ("outside", "../secret", "fifo", "up/secret"):
        with pytest.raises(ConfigError):
            batches(source(root), name)
    for name in ("outside", "fifo"):
        with pytest.raises(ConfigError):
            source(root / name).partitions()
    with pytest.raises(ConfigError):
        source("/dev/zero").partitions()


def test_the_format_is_known_by_the_ending(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_text("")
    endings = {"x.ndjson": "json", "*.csv.zst": "csv", "x.feather": "arrow", "x.LOG": "text"}
    assert {path: source(path).format_hint() for path in endings} == endings
    assert source(tmp_path).format_hint() == "csv"
    with pytest.raises(ConfigError, match="format"):
        FileSource(path=str(tmp_path)).open("a.csv.gz", Read(SCHEMA))


def test_a_format_is_written_back_with_its_name() -> None:
    assert source("x").options()["format"] == "lines"


def test_the_schema_comes_from_the_first_file_with_content(tmp_path: Path) -> None:
    seen: list[bytes] = []

    class Spy(LinesFormat):
        def infer(self, sample: bytes) -> pl.Schema:
            seen.append(sample)
            return SCHEMA

    (tmp_path / "a").write_text("")
    (tmp_path / "b").write_bytes(b"x" * 1000 + b"\n" + b"y" * (2 << 20))
    assert source(tmp_path, format=Spy()).infer() == SCHEMA
    assert seen == [b"x" * 1000 + b"\n"]
    (tmp_path / "b").unlink()
    with pytest.raises(ConfigError, match="infer"):
        source(tmp_path).infer()


TEXTS = st.lists(st.text("ab", max_size=12), max_size=40).map("\n".join)
FORMATS = st.sampled_from([LinesFormat(), SlowLinesFormat()])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    return tmp_path_factory.mktemp("cuts")


@settings(max_examples=150, deadline=None)
@given(TEXTS, FORMATS, st.integers(1, 50), st.integers(1, 200), st.integers(2, 14))
@example("aaaa\n\n", LinesFormat(), 1, 1, 5)
def test_no_cut_changes_the_rows(
    folder: Path, text: str, form: StreamFormat, rows: int, size: int, longest: int
) -> None:
    (folder / "f").write_text(text)
    src = source(folder / "f", format=form, max_record=longest)
    whole = batches(src, "f")
    found = batches(src, "f", rows=rows, bytes=size)
    whole_lines = [line for line in text.split("\n") if len(line) + 1 <= longest]
    last = text.split("\n")[-1]
    whole_lines += [last] if len(last) == longest else []
    assert lines(found) == lines(whole) == ([*whole_lines[:-1]] if not last else whole_lines)
    dead = [batch.dead for batch in found if batch.dead.height]
    expected = [batch.dead for batch in whole if batch.dead.height]
    assert bool(dead) == bool(expected)
    if dead:
        assert pl.concat(dead).equals(pl.concat(expected))
    assert all(batch.rows.height + batch.dead.height <= rows for batch in found)


@settings(max_examples=60, deadline=None)
@given(TEXTS, FORMATS, st.integers(1, 9), st.integers(1, 60), st.data())
def test_any_range_is_read_again_exactly(
    folder: Path, text: str, form: StreamFormat, rows: int, size: int, data: st.DataObject
) -> None:
    (folder / "f").write_text(text)
    src = source(folder / "f", format=form, max_record=10)
    found = batches(src, "f", rows=rows, bytes=size)
    bounds = [None, *(batch.offset for batch in found)]
    first = data.draw(st.integers(0, len(found)))
    last = data.draw(st.integers(first, len(found)))
    again = batches(src, "f", resume=bounds[first], until=bounds[last] or bounds[first], rows=3)
    if last > first:
        assert lines(again) == lines(found[first:last])
        assert dict(again[-1].offset) == dict(bounds[last] or {})
    rest = batches(src, "f", resume=bounds[last])
    assert lines(rest) == lines(found[last:])


def test_a_line_without_end_is_set_aside_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "long"
    with path.open("wb") as out:
        out.write(b"before\n")
        for _ in range(64):
            out.write(b"x" * (1 << 20))
        out.write(b"\nafter\n")
    sizes: list[int] = []

    class Watched(Lines):
        def decode(self, records: bytes) -> Decoded:
            sizes.append(len(records))
            return super().decode(records)

    class WatchedFormat(LinesFormat):
        def decoder(self, schema: pl.Schema, header: bytes = b"") -> Lines:
            return Watched()

    found = batches(source(path, format=WatchedFormat()), "long")
    assert lines(found) == ["before", "after"]
    dead = pl.concat([batch.dead for batch in found])
    assert dead["payload"].to_list() == ["x" * 1024]
    assert "67108865 bytes" in dead["error"].item()
    assert max(sizes) < 100


def test_small_batches_cost_no_second_parse(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("".join(f"line {n}\n" for n in range(100_000)))
    decoded: list[int] = []

    class Counted(Lines):
        def decode(self, records: bytes) -> Decoded:
            decoded.append(len(records))
            return super().decode(records)

    class CountedFormat(LinesFormat):
        def decoder(self, schema: pl.Schema, header: bytes = b"") -> Lines:
            return Counted()

    found = batches(source(tmp_path / "f", format=CountedFormat()), "f", rows=1000)
    assert len(lines(found)) == 100_000
    assert len(found) < 130
    assert sum(decoded) < 1.2 * (tmp_path / "f").stat().st_size


def test_a_file_that_was_replaced_stops_the_run(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("one\ntwo\n")
    src = source(path)
    first = batches(src, "f", rows=1)[0].offset
    (tmp_path / "new").write_text("other\nrows\n")
    (tmp_path / "new").rename(path)
    with pytest.raises(SourceGap, match="replaced"):
        batches(src, "f", resume=first)
    path.unlink()
    with pytest.raises(SourceGap):
        batches(src, "f", resume=first)


def test_a_file_that_was_shortened_stops_a_bounded_run(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("one\ntwo\n")
    last = batches(source(path), "f")[-1].offset
    os.truncate(path, 4)
    with pytest.raises(SourceGap):
        batches(source(path), "f", resume=last)
    with pytest.raises(SourceGap):
        batches(source(path), "f", until=last)


def test_rows_added_since_are_read_on_resume(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("one\n")
    last = batches(source(path), "f")[-1].offset
    with path.open("a") as out:
        out.write("two\n")
    assert lines(batches(source(path), "f", resume=last)) == ["two"]
    assert lines(batches(source(path), "f", until=last)) == ["one"]


def test_closing_twice_is_fine(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("one\n")
    reader = source(tmp_path / "f").open("f", Read(SCHEMA))
    assert next(iter(reader)) is not None
    reader.close()
    reader.close()
