"""Files that grow, are renamed, cut short and made anew while they are followed."""

import logging
import os
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from pydatastream.connectors.file import FileSource
from pydatastream.core.batch import Batch, Offset
from pydatastream.core.errors import SourceGap
from pydatastream.core.format import Decoded, StreamFormat
from pydatastream.core.source import GONE, Read
from pydatastream.parts.files import tail
from pydatastream.parts.files.listing import Listing

SCHEMA = pl.Schema({"line": pl.String})


class RowsFormat(StreamFormat):
    extension = "rows"
    separator = b"\n"

    def decoder(self, schema: pl.Schema, header: bytes = b"") -> "Rows":
        return Rows()

    def header_size(self, start: bytes) -> int:
        return start.find(b"\n") + 1 if start.startswith(b"#") else 0


class Rows:
    def cut(self, buffer: bytes) -> int:
        return buffer.rfind(b"\n") + 1

    def decode(self, records: bytes) -> Decoded:
        return Decoded(pl.DataFrame({"line": records.decode().splitlines()}, schema=SCHEMA))


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "GRACE", 0.1)


class Follower:
    """Reads one partition as an engine does: asks again until something has come."""

    def __init__(self, path: Path, name: str, resume: Offset | None = None) -> None:
        self.source = FileSource(path=str(path), format=RowsFormat(), follow=True)
        self.name, self.found = name, []
        self.resume = resume
        self.reader = self.source.open(name, Read(SCHEMA, resume=resume))
        self.batches: Iterator[Batch | None] = iter(self.reader)

    def take(self, count: int, within: float = 5.0) -> list[str]:
        """The next `count` lines; fewer if they do not come."""
        lines: list[str] = []
        end = time.monotonic() + within
        while len(lines) < count and time.monotonic() < end:
            batch = next(self.batches)
            if batch is not None:
                self.found.append(batch)
                lines += batch.rows["line"].to_list()
        return lines

    def nothing(self) -> bool:
        """Whether nothing comes for a while."""
        return self.take(1, within=0.15) == []

    def again(self, first: int, last: int) -> list[str]:
        """The batches from number `first` to `last`, read once more."""
        resume = self.found[first - 1].offset if first else self.resume
        until = self.found[last].offset
        job = Read(SCHEMA, resume=resume, until=until)
        found = [one for one in self.source.open(self.name, job) if one is not None]
        assert dict(found[-1].offset) == dict(until)
        return [line for batch in found for line in batch.rows["line"]]


def append(path: Path, text: str) -> None:
    with path.open("a") as out:
        out.write(text)


def rotate(path: Path) -> None:
    """As logrotate does: app.log.1 to app.log.2, app.log to app.log.1."""
    for number in range(8, 0, -1):
        old = path.with_name(f"{path.name}.{number}")
        if old.exists():
            old.rename(path.with_name(f"{path.name}.{number + 1}"))
    path.rename(path.with_name(f"{path.name}.1"))
    time.sleep(0.01)  # a file system's clock ticks every few milliseconds


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


def test_lines_come_as_they_are_written_and_only_whole(log: Path) -> None:
    log.write_text("one\ntwo")
    reader = Follower(log, "app.log")
    assert not reader.source.bounded
    assert reader.take(1) == ["one"]
    assert reader.nothing()
    append(log, " ends\nthree\n")
    assert reader.take(2) == ["two ends", "three"]


def test_a_file_and_its_header_may_come_later(log: Path) -> None:
    reader = Follower(log, "app.log")
    assert reader.nothing()
    log.write_text("")
    assert reader.nothing()
    append(log, "#a")
    assert reader.nothing()
    append(log, ",b\none\n")
    assert reader.take(1) == ["one"]


def test_what_comes_is_seen_within_a_tenth_of_a_second(log: Path) -> None:
    log.write_text("one\n")
    reader = Follower(log, "app.log")
    reader.take(1)
    append(log, "two\n")
    start = time.monotonic()
    assert reader.take(1) == ["two"]
    assert time.monotonic() - start < 0.1


def test_a_renamed_file_is_read_to_its_end_first(log: Path) -> None:
    log.write_text("one\n")
    reader = Follower(log, "app.log")
    assert reader.take(1) == ["one"]
    held = log.open("a")
    append(log, "two\n")
    rotate(log)
    log.write_text("four\n")
    held.write("three, by the writer that still has it\nno end")
    held.close()
    expected = ["two", "three, by the writer that still has it", "no end", "four"]
    assert reader.take(4) == expected
    append(log, "five\n")
    assert reader.take(1) == ["five"]


def test_every_range_across_rotations_is_read_again_exactly(log: Path) -> None:
    log.write_text("0\n")
    reader = Follower(log, "app.log")
    seen = reader.take(1)
    for number in range(1, 6):
        append(log, f"{number}a\n")
        seen += reader.take(1)
        rotate(log)
        log.write_text(f"{number}b\n")
        seen += reader.take(1)
    assert seen == ["0", *(f"{n}{half}" for n in range(1, 6) for half in "ab")]
    count = len(reader.found)
    for first in range(count):
        for last in range(first, count):
            assert reader.again(first, last) == seen[first : last + 1]


def test_rotations_while_nothing_ran_are_caught_up(log: Path) -> None:
    log.write_text("one\ntwo\n")
    first = Follower(log, "app.log")
    first.take(2)
    offset = first.found[-1].offset
    first.reader.close()
    append(log, "three\n")
    rotate(log)
    log.write_text("four\n")
    rotate(log)
    log.write_text("five\n")
    reader = Follower(log, "app.log", offset)
    assert reader.take(3) == ["three", "four", "five"]
    assert reader.again(0, len(reader.found) - 1) == ["three", "four", "five"]


def test_a_rotated_file_that_is_gone_stops_the_run(log: Path) -> None:
    log.write_text("one\n")
    first = Follower(log, "app.log")
    first.take(1)
    offset = first.found[-1].offset
    first.reader.close()
    rotate(log)
    log.write_text("other rows\n")
    log.with_name("app.log.1").unlink()
    with pytest.raises(SourceGap, match="replaced or removed"):
        Follower(log, "app.log", offset).take(1, within=0.5)


def test_a_file_cut_short_starts_again_and_says_so(
    log: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log.write_text("one\ntwo\nthree\n")
    reader = Follower(log, "app.log")
    assert reader.take(3) == ["one", "two", "three"]
    with caplog.at_level(logging.WARNING, "pydatastream"):
        log.write_text("four\n")
        assert reader.take(1) == ["four"]
    assert "cut short" in caplog.text
    with pytest.raises(SourceGap):
        reader.again(0, len(reader.found) - 1)


def test_a_file_cut_and_filled_again_at_once_is_noticed(log: Path) -> None:
    log.write_text("one\n")
    reader = Follower(log, "app.log")
    assert reader.take(1) == ["one"]
    log.write_text("another first line\nand more\n")
    assert reader.take(2) == ["another first line", "and more"]


def test_a_file_cut_while_nothing_ran_starts_again(
    log: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log.write_text("one\ntwo\n")
    first = Follower(log, "app.log")
    first.take(2)
    first.reader.close()
    log.write_text("3\n")
    with caplog.at_level(logging.WARNING, "pydatastream"):
        assert Follower(log, "app.log", first.found[-1].offset).take(1) == ["3"]
    assert "cut short" in caplog.text


def test_a_copy_made_before_the_cut_is_read_to_its_end(log: Path) -> None:
    log.write_text("one\n")
    reader = Follower(log, "app.log")
    assert reader.take(1) == ["one"]
    append(log, "two\n")
    log.with_name("app.log.1").write_text(log.read_text())
    time.sleep(0.01)
    os.truncate(log, 0)
    append(log, "3\n")
    assert reader.take(2) == ["two", "3"]
    assert reader.again(1, len(reader.found) - 1) == ["two", "3"]


def test_a_removed_file_may_come_back(log: Path) -> None:
    log.write_text("one\n")
    reader = Follower(log, "app.log")
    assert reader.take(1) == ["one"]
    log.unlink()
    assert reader.nothing()
    log.write_text("two\n")
    assert reader.take(1) == ["two"]


def test_a_removed_file_of_many_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "LEFT", 0.3)
    log = tmp_path / "a.log"
    log.write_text("one\n")
    reader = Follower(tmp_path, "a.log")
    assert reader.take(1) == ["one"]
    held = log.open("a")
    log.unlink()
    held.write("two, by the writer that still has it\nno end")
    held.close()
    assert reader.take(2) == ["two, by the writer that still has it", "no end"]
    with pytest.raises(StopIteration) as end:
        reader.take(1)
    assert end.value.value is GONE


def test_a_removed_file_is_kept_while_one_is_there_that_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "LEFT", 0.05)
    log = tmp_path / "a.log"
    log.write_text("one\n")
    rotate(log)
    log.write_text("two\n")
    reader = Follower(tmp_path, "a.log")
    assert reader.take(2) == ["one", "two"]
    log.unlink()
    assert reader.nothing(), "a reader made anew would begin with the rotated file"
    log.write_text("three\n")
    assert reader.take(1) == ["three"]


def test_hundreds_of_rotations_leave_nothing_behind(
    log: Path, monkeypatch: pytest.MonkeyPatch, open_files: Callable[[Path], int]
) -> None:
    monkeypatch.setattr(tail, "GRACE", 0.01)
    log.write_text("0\n")
    reader, seen, sizes = Follower(log, "app.log"), list[str](), set[int]()
    for number in range(1, 201):
        seen += reader.take(1)
        if number % 50 == 0:
            reader.reader.close()
            reader = Follower(log, "app.log", reader.found[-1].offset)
        rotate(log)
        log.with_name("app.log.4").unlink(missing_ok=True)
        log.write_text(f"{number}\n")
        if number > 100:
            sizes.add(len(str(reader.found[-1].offset)) if reader.found else 0)
    assert seen == [str(number) for number in range(200)]
    assert max(sizes) < 1500
    assert open_files(log.parent) <= 2


def test_a_growing_directory_names_each_stream_once(tmp_path: Path) -> None:
    src = FileSource(path=str(tmp_path), format=RowsFormat(), follow=True)
    assert src.partitions() == []
    (tmp_path / "a.log").write_text("a\n")
    assert src.partitions() == ["a.log"]
    (tmp_path / "b.log").write_text("b\n")
    rotate(tmp_path / "a.log")
    assert src.partitions() == ["a.log", "b.log"]
    (tmp_path / "a.log").write_text("c\n")
    assert src.partitions() == ["a.log", "b.log"]


def test_in_a_directory_files_rotated_before_the_start_are_read_first(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    for text in ("one\n", "two\n"):
        log.write_text(text)
        rotate(log)
    log.write_text("three\n")
    assert Follower(tmp_path, "a.log").take(3) == ["one", "two", "three"]
    assert Follower(log, "a.log").take(3, within=0.4) == ["three"]


def test_a_range_is_read_again_after_more_was_written(log: Path) -> None:
    log.write_text("one\n")
    reader = Follower(log, "app.log")
    reader.take(1)
    append(log, "two\nthree\n")
    reader.take(2)
    append(log, "x" * 3000 + "\n")
    assert reader.again(0, 0) == ["one"]
    assert reader.again(1, 1) == ["two", "three"]


def test_many_silent_files_do_not_wait_one_after_the_other(tmp_path: Path) -> None:
    readers = []
    for number in range(20):
        (tmp_path / f"{number}.log").write_text("x\n")
        readers.append(Follower(tmp_path, f"{number}.log"))
        readers[-1].take(1)
    for reader in readers:
        next(reader.batches)
    start = time.monotonic()
    for _ in range(3):
        for reader in readers:
            assert next(reader.batches) is None
    assert time.monotonic() - start < 0.5


def test_a_file_is_begun_without_a_look_at_all_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.log", "b.log"):
        (tmp_path / name).write_text(f"{name}\n")
    reader = Follower(tmp_path, "a.log")
    monkeypatch.setattr(Listing, "names", lambda _: pytest.fail("all files are looked at"))
    assert reader.take(1) == ["a.log"]


def test_more_files_are_followed_than_a_process_may_usually_open(tmp_path: Path) -> None:
    usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = len(list(Path("/proc/self/fd").iterdir())) + 20
    readers = []
    try:
        for number in range(60):
            (tmp_path / f"{number}.log").write_text(f"{number}\n")
            resource.setrlimit(resource.RLIMIT_NOFILE, (few, most))
            readers.append(Follower(tmp_path, f"{number}.log"))
            assert readers[-1].take(1) == [str(number)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (usual, most))
        for one in readers:
            one.reader.close()
