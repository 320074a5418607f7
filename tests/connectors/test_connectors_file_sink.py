"""FileSink: what is visible when, and each row exactly once whatever is killed.

Run as a program it is the process that is killed; see `killed` below.
"""

import contextlib
import gzip
import itertools
import json
import os
import re
import resource
import signal
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, ClassVar, TypedDict

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from number_format import NumbersFormat

from pydatastream.connectors import file_sink
from pydatastream.connectors.file_sink import FileSink
from pydatastream.core import durable, faults
from pydatastream.core.errors import ConfigError, Fenced, StopError
from pydatastream.core.format import FileFormat
from pydatastream.core.sink import Write, Writer
from pydatastream.parts.files import marker, replaced
from pydatastream.parts.files import staging as parts

SCHEMA = pl.Schema({"id": pl.Int64})
MODULES = (file_sink, durable, marker, parts, replaced)
POINTS = sorted(
    {
        name
        for module in MODULES
        for name in re.findall(r'fault_point\("([\w.]+)"\)', Path(str(module.__file__)).read_text())
    }
)


class HeapEncoder:
    def __init__(self, target: BinaryIO) -> None:
        self.target, self.ids = target, list[int]()

    def write(self, rows: pl.DataFrame) -> None:
        self.ids += rows["id"].to_list()

    def close(self) -> None:
        self.target.write(json.dumps(self.ids).encode())


class HeapFormat(FileFormat):
    extension: ClassVar[str] = "heap"

    def write_file(self, target: BinaryIO, schema: pl.Schema) -> HeapEncoder:
        return HeapEncoder(target)


def sink(path: Path | str, **options: object) -> FileSink:
    return FileSink(path=str(path), **{"format": NumbersFormat(), **options})  # type: ignore[arg-type]


def job(*, durable: bool = False, bounded: bool = False, name: str = "out") -> Write:
    return Write(SCHEMA, "numbers", name, durable, bounded)


def ids(*numbers: int) -> pl.DataFrame:
    return pl.DataFrame({"id": numbers}, schema=SCHEMA)


def add(writer: Writer, epoch: int, *numbers: int) -> None:
    writer.begin(epoch)
    writer.write(ids(*numbers))
    writer.publish(epoch)


def lines(path: Path) -> list[int]:
    first, *middle, last = path.read_text().split()
    assert (first, last) == ("<", ">"), f"{path} is not complete"
    return [int(line) for line in middle]


def seen(directory: Path) -> list[int]:
    """The rows a reader sees."""
    return [one for path in sorted(directory.glob("part-*")) for one in lines(path)]


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


MARKER = ".pds-numbers-out.json"


# -- with a checkpoint ---------------------------------------------------------------------------


def test_an_epoch_is_visible_once_published_and_remembered(tmp_path: Path) -> None:
    writer = sink(tmp_path / "out").open(job(durable=True))
    assert writer.published() is None
    writer.begin(12)
    writer.write(ids(1, 2))
    assert seen(tmp_path / "out") == []
    writer.publish(12)
    assert names(tmp_path / "out") == [MARKER, "part-00000012-0.txt"]
    assert lines(tmp_path / "out" / "part-00000012-0.txt") == [1, 2]
    remembered = json.loads((tmp_path / "out" / MARKER).read_text())
    assert remembered.pop("token")
    assert remembered == {
        "epoch": 12,
        "pipeline": "numbers",
        "output": "out",
        "parts": ["part-00000012-0.txt"],
    }
    assert writer.published() == 12


def test_publishing_again_changes_nothing(tmp_path: Path) -> None:
    first = sink(tmp_path).open(job(durable=True))
    add(first, 1, 1, 2)
    first.publish(1)
    first.close()
    again = sink(tmp_path).open(job(durable=True))
    assert again.published() == 1
    again.publish(1)
    add(again, 1, 7, 8)
    add(again, 2, 3)
    assert seen(tmp_path) == [1, 2, 3]
    assert not list(tmp_path.glob(".part-*"))


def test_an_epoch_without_rows_moves_the_marker_alone(tmp_path: Path) -> None:
    writer = sink(tmp_path).open(job(durable=True))
    add(writer, 5)
    assert names(tmp_path) == [MARKER]
    assert sink(tmp_path).open(job(durable=True)).published() == 5


def test_an_epoch_begun_again_starts_afresh(tmp_path: Path) -> None:
    writer = sink(tmp_path, roll_rows=1).open(job(durable=True))
    writer.begin(1)
    writer.write(ids(7, 8, 9))
    add(writer, 1, 1, 2)
    assert seen(tmp_path) == [1, 2]
    assert len(names(tmp_path)) == 3


def test_closing_publishes_nothing_and_may_be_repeated(tmp_path: Path) -> None:
    writer = sink(tmp_path).open(job(durable=True))
    writer.begin(1)
    writer.write(ids(1))
    writer.close()
    writer.close()
    assert names(tmp_path) == [MARKER]
    with pytest.raises(StopError, match="was not begun"):
        writer.publish(1)


def test_what_an_attempt_left_behind_goes_when_the_epoch_begins(tmp_path: Path) -> None:
    add(sink(tmp_path).open(job(durable=True)), 1, 1)
    (tmp_path / "part-00000002-0.txt").write_text("<\n2\n>\n")
    (tmp_path / ".part-00000002-1.txt.c0ffee.tmp").write_text("<\n")
    (tmp_path / "notes.txt").write_text("mine")
    writer = sink(tmp_path).open(job(durable=True))
    writer.begin(2)
    assert names(tmp_path) == [MARKER, "notes.txt", "part-00000001-0.txt"]


def test_the_directory_is_synced_around_the_marker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power loss at any step leaves a marker whose parts are on the disk."""
    steps: list[str] = []

    def note(step: str, was: object) -> object:
        def noted(*args: object) -> object:
            steps.append(f"{step} {Path(str(args[-1])).name}")
            return was(*args)  # type: ignore[operator]

        return noted

    writer = sink(tmp_path).open(job(durable=True))
    writer.begin(1)
    writer.write(ids(1))
    for step in ("settle", "settle_directory", "move"):
        monkeypatch.setattr(durable, step, note(step, getattr(durable, step)))
    staged = next(tmp_path.glob(".part-*")).name
    writer.publish(1)
    here = f"settle_directory {tmp_path.name}"
    assert steps == [
        f"settle {staged}",
        here,
        f"settle {MARKER}.tmp",
        f"move {MARKER}",
        here,
        "move part-00000001-0.txt",
        here,
    ]


def test_an_instance_that_wakes_up_cannot_write(tmp_path: Path) -> None:
    old = sink(tmp_path, roll_rows=1).open(job(durable=True))
    old.begin(1)
    old.write(ids(1))
    new = sink(tmp_path, roll_rows=1).open(job(durable=True))
    new.begin(1)
    new.write(ids(1))
    old.write(ids(2))
    with pytest.raises(Fenced, match="another instance"):
        old.publish(1)
    new.write(ids(2))
    new.publish(1)
    assert seen(tmp_path) == [1, 2]


def test_a_marker_that_went_back_stops_the_writer(tmp_path: Path) -> None:
    writer = sink(tmp_path).open(job(durable=True))
    add(writer, 1, 1)
    before = (tmp_path / MARKER).read_bytes()
    add(writer, 2, 2)
    (tmp_path / MARKER).write_bytes(before)
    writer.begin(3)
    with pytest.raises(Fenced, match="another instance"):
        writer.publish(3)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"epoch": "1"}', b"\xff\x00"])
def test_a_damaged_marker_stops_the_run(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MARKER).write_bytes(content)
    with pytest.raises(StopError, match="damaged"):
        sink(tmp_path).open(job(durable=True))


def test_a_directory_has_one_owner(tmp_path: Path) -> None:
    add(sink(tmp_path).open(job(durable=True)), 1, 1)
    for other in (job(durable=True, name="more"), job(bounded=True), job()):
        with pytest.raises(ConfigError, match="output of pipeline 'numbers'"):
            sink(tmp_path).open(other)


def test_parts_of_a_run_without_checkpoint_are_not_mixed_in(tmp_path: Path) -> None:
    add(sink(tmp_path / "out").open(job(bounded=True)), 0, 1)
    with pytest.raises(ConfigError, match="part of another run"):
        sink(tmp_path / "out").open(job(durable=True))


def test_names_that_are_no_file_names_get_a_marker(tmp_path: Path) -> None:
    writer = sink(tmp_path).open(Write(SCHEMA, "../a b", "x/y", durable=True))
    add(writer, 1, 1)
    assert names(tmp_path) == [".pds-..%2Fa%20b-x%2Fy.json", "part-00000001-0.txt"]


# -- without a checkpoint ------------------------------------------------------------------------


def test_a_bounded_run_replaces_the_directory(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    add(sink(f"{out}/", roll_rows=1).open(job(bounded=True)), 0, 1, 2, 3)
    assert seen(out) == [1, 2, 3]
    writer = sink(out).open(job(bounded=True))
    writer.begin(0)
    writer.write(ids(4))
    assert seen(out) == [1, 2, 3]
    writer.publish(0)
    writer.publish(0)
    writer.close()
    assert seen(out) == [4]
    assert names(out.parent) == ["out"]


def test_a_bounded_run_without_rows_leaves_an_empty_directory(tmp_path: Path) -> None:
    add(sink(tmp_path / "out").open(job(bounded=True)), 0, 1)
    add(sink(tmp_path / "out").open(job(bounded=True)), 0)
    assert names(tmp_path / "out") == []


@pytest.mark.parametrize("other", ["thesis.odt", "part-00000-6f2c.snappy.parquet", ".git"])
def test_a_directory_with_files_of_others_is_not_replaced(tmp_path: Path, other: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / other).write_text("dear")
    with pytest.raises(ConfigError, match=other.replace(".", r"\.")):
        sink(out).open(job(bounded=True))
    assert (out / other).read_text() == "dear"


def test_a_file_that_came_during_the_run_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    writer = sink(out).open(job(bounded=True))
    writer.begin(0)
    writer.write(ids(1))
    (out / "thesis.odt").write_text("dear")
    with pytest.raises(ConfigError, match="thesis"):
        writer.publish(0)
    assert names(out) == ["thesis.odt"]


def test_a_crash_between_the_two_renames_is_mended(tmp_path: Path) -> None:
    out = tmp_path / "out"
    add(sink(out).open(job(bounded=True)), 0, 1)
    out.rename(tmp_path / ".out.pds-old")
    sink(out).open(job(bounded=True))
    assert seen(out) == [1]
    assert names(tmp_path) == ["out"]


def test_a_mount_is_refused_before_anything_is_written() -> None:
    with pytest.raises(ConfigError, match="mount cannot be replaced"):
        sink("/").open(job(bounded=True))


def test_an_endless_run_shows_each_epoch_and_removes_the_last_run(tmp_path: Path) -> None:
    add(sink(tmp_path, roll_rows=1).open(job()), 9, 1, 2)
    (tmp_path / "notes.txt").write_text("mine")
    writer = sink(tmp_path).open(job())
    assert seen(tmp_path) == [1, 2]
    add(writer, 1, 3)
    assert seen(tmp_path) == [3]
    add(writer, 2)
    add(writer, 3, 4)
    assert seen(tmp_path) == [3, 4]
    assert (tmp_path / "notes.txt").exists()


def test_one_file_is_replaced_when_the_run_is_complete(tmp_path: Path) -> None:
    out = tmp_path / "new" / "result.txt"
    add(sink(out).open(job(bounded=True)), 0, 1, 2)
    assert lines(out) == [1, 2]
    writer = sink(out).open(job(bounded=True))
    writer.begin(0)
    writer.write(ids(3))
    assert lines(out) == [1, 2]
    writer.close()
    assert lines(out) == [1, 2]
    add(writer, 0)
    assert lines(out) == []
    assert names(out.parent) == ["result.txt"]


@pytest.mark.parametrize(
    ("how", "options", "why"),
    [
        (job(durable=True, bounded=True), {}, "with a checkpoint"),
        (job(), {}, "without end"),
        (job(bounded=True), {"roll_rows": 3}, "that rolls"),
    ],
)
def test_one_file_is_refused_where_it_cannot_be_right(
    tmp_path: Path, how: Write, options: dict[str, int], why: str
) -> None:
    with pytest.raises(ConfigError, match=rf"{why} cannot be one file(.|\n)*result/"):
        sink(tmp_path / "result.txt", **options).open(how)


def test_an_existing_directory_needs_no_slash(tmp_path: Path) -> None:
    (tmp_path / "v1.2").mkdir()
    add(sink(tmp_path / "v1.2").open(job(durable=True)), 1, 1)
    assert seen(tmp_path / "v1.2") == [1]


def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("dear")
    with pytest.raises(ConfigError, match="without suffix"):
        sink(tmp_path / "out").open(job(bounded=True))


# -- what is in the files ------------------------------------------------------------------------


def test_gzip_gives_the_same_bytes_for_the_same_rows(tmp_path: Path) -> None:
    for run in ("a", "b"):
        add(sink(tmp_path / run, compression="gzip").open(job(bounded=True)), 0, 1, 2)
    one, two = (tmp_path / run / "part-00000000-0.txt.gz" for run in ("a", "b"))
    assert gzip.decompress(one.read_bytes()) == b"<\n1\n2\n>\n"
    assert one.read_bytes() == two.read_bytes()


def test_a_format_of_whole_files(tmp_path: Path) -> None:
    out = sink(tmp_path / "out", format=HeapFormat(), roll_rows=2)
    add(out.open(job(bounded=True)), 0, 1, 2, 3)
    found = [json.loads(path.read_text()) for path in sorted((tmp_path / "out").iterdir())]
    assert found == [[1, 2], [3]]
    with pytest.raises(ConfigError, match="compresses by itself"):
        sink(tmp_path, format=HeapFormat(), compression="gzip").open(job())


def test_the_ending_of_the_path_says_how_to_write(tmp_path: Path) -> None:
    endings = {"out/": "json", "out/a.csv": "csv", "a.jsonl.gz": "json", "a.parquet": "parquet"}
    assert {path: FileSink(path=path).format_hint() for path in endings} == endings
    add(sink(tmp_path / "a.txt.gz").open(job(bounded=True)), 0, 1)
    assert gzip.decompress((tmp_path / "a.txt.gz").read_bytes()) == b"<\n1\n>\n"


def test_no_format_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no format"):
        FileSink(path=str(tmp_path)).open(job())


def test_parts_roll_at_a_size(tmp_path: Path) -> None:
    writer = sink(tmp_path / "out", roll_bytes=6).open(job(bounded=True))
    writer.begin(0)
    for number in range(5):
        writer.write(ids(number))
    writer.publish(0)
    found = [lines(path) for path in sorted((tmp_path / "out").iterdir())]
    assert found == [[0, 1], [2, 3], [4]]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 7), max_size=6), st.integers(1, 4))
def test_cuts_never_change_the_rows(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], roll: int
) -> None:
    out = tmp_path_factory.mktemp("cuts") / "out"
    rows, writer = ids(*range(sum(sizes))), sink(out, roll_rows=roll).open(job(bounded=True))
    writer.begin(0)
    for at, size in enumerate(sizes):
        writer.write(rows.slice(sum(sizes[:at]), size))
    writer.publish(0)
    paths = sorted(out.iterdir(), key=lambda path: int(path.stem.split("-")[-1]))
    assert [one for path in paths for one in lines(path)] == rows["id"].to_list()
    assert all(len(lines(path)) == roll for path in paths[:-1])


# -- failures ------------------------------------------------------------------------------------


@pytest.fixture
def _disarmed() -> Iterator[None]:
    yield
    faults.arm(None)


@pytest.mark.usefixtures("_disarmed")
@pytest.mark.parametrize("point", POINTS)
def test_an_error_at_any_point_heals_with_the_next_start(tmp_path: Path, point: str) -> None:
    writer = sink(tmp_path / "out").open(job(durable=True))
    add(writer, 1, 1)
    faults.arm(f"{point}:raise")
    with contextlib.suppress(StopError, OSError):
        add(writer, 2, 2)
    faults.arm(None)
    assert seen(tmp_path / "out") in ([1], [1, 2])
    writer.close()
    add(sink(tmp_path / "out").open(job(durable=True)), 2, 2)
    assert seen(tmp_path / "out") == [1, 2]


def test_a_disk_that_is_full_shows_nothing_of_the_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = sink(tmp_path / "out").open(job(durable=True))
    add(writer, 1, 1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer.begin(2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(StopError, match=r"part-00000002-0(.|\n)*cannot write: File too large"):
            writer.write(ids(*range(100_000)))
        writer.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert names(tmp_path / "out") == [MARKER, "part-00000001-0.txt"]
    add(sink(tmp_path / "out").open(job(durable=True)), 2, *range(2, 5))
    assert seen(tmp_path / "out") == [1, 2, 3, 4]


def test_a_place_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StopError, match="File exists") as stop:
        sink(tmp_path / "file" / "out").open(job(durable=True))
    assert stop.value.where == str(tmp_path / "file")


# -- kill -9 -------------------------------------------------------------------------------------

EPOCHS = {1: [10, 11, 12, 13, 14], 2: [], 3: [30, 31, 32]}
ROWS = Counter(one for rows in EPOCHS.values() for one in rows)


def live_durable(root: Path, attempt: int) -> None:
    """What an engine does: replay from its checkpoint; cuts differ between attempts."""
    store = root / "committed"
    last = int(store.read_text()) if store.exists() else 0
    writer = sink(root / "out", roll_bytes=8).open(job(durable=True))
    if (writer.published() or 0) not in (last, last + 1):
        raise SystemExit(f"published {writer.published()}, committed {last}")
    for epoch, rows in list(EPOCHS.items())[last:]:
        writer.begin(epoch)
        for start in range(0, len(rows), 1 + attempt):
            writer.write(ids(*rows[start : start + 1 + attempt]))
        writer.publish(epoch)
        store.with_suffix(".tmp").write_text(str(epoch))
        store.with_suffix(".tmp").replace(store)
    writer.close()


def live_bounded(path: Path, attempt: int) -> None:
    writer = sink(path).open(job(bounded=True))
    add(writer, 0, *ROWS)
    writer.close()


LIVES = {
    "durable": live_durable,
    "directory": lambda root, attempt: live_bounded(root / "out", attempt),
    "file": lambda root, attempt: live_bounded(root / "out.txt", attempt),
}


def fork(mode: str, root: Path, attempt: int, spec: str | None) -> int:
    """Live in a child process; its wait status."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    faults.arm(spec)
    status = 1
    try:
        LIVES[mode](root, attempt)
        status = 0
    finally:
        traceback.print_exc() if status else None
        os._exit(status)


def visible(root: Path) -> list[int]:
    """The rows a reader sees now, or will see when the next start mends the swap."""
    if (root / "out.txt").exists():
        return lines(root / "out.txt")
    places = (root / "out", root / ".out.pds-old")
    return seen(next(place for place in places if place.exists()))


class Story(TypedDict):
    """What was asked for, and after each life its exit status and what could be seen."""

    specs: list[str]
    lives: list[tuple[int, list[int]]]
    rest: list[str]


def tried(mode: str, root: Path, specs: list[str]) -> Story:
    """A life per fault, then one without."""
    root.mkdir()
    if mode != "durable":
        old = root / {"directory": "out/part-00000000-0.txt", "file": "out.txt"}[mode]
        old.parent.mkdir(exist_ok=True)
        old.write_text("<\n-1\n>\n")
    faults_then_none = enumerate([*specs, None])
    lives = [(fork(mode, root, at, spec), visible(root)) for at, spec in faults_then_none]
    kept = [path.name for path in root.rglob(".*") if path.name != MARKER]
    return {"specs": specs, "lives": lives, "rest": kept}


def main(mode: str, root: Path) -> None:
    """Kill at many passes of every point, and again in the life after; print the stories."""
    os.fsync = lambda descriptor: None  # a kill cannot see a missing sync, and this is quicker
    for point in POINTS:
        for at in (1, 2, 3, 4, 6, 9, 13, 19, 28):
            again = [f"{point}:kill"] if at == 1 else []
            story = tried(mode, root / f"{point}-{at}", [f"{point}:kill:{at}", *again])
            print(json.dumps(story))
            if story["lives"][0][0] == 0:
                break
        print(json.dumps(tried(mode, root / point, ["parts.staged:kill", f"{point}:kill"])))


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Story]]:
    """Lives are forks of a process that has never used Polars' threads: quick, and safe."""
    told = {}
    for mode in LIVES:
        run = [sys.executable, __file__, mode, str(tmp_path_factory.mktemp(mode))]
        done = subprocess.run(run, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        told[mode] = [json.loads(line) for line in done.stdout.splitlines()]
    return told


def test_every_point_is_hit(stories: dict[str, list[Story]]) -> None:
    hit = {
        spec.split(":")[0]
        for story in itertools.chain.from_iterable(stories.values())
        for spec, (status, _) in zip(story["specs"], story["lives"], strict=False)
        if status == -signal.SIGKILL
    }
    assert hit == set(POINTS)
    assert len(POINTS) >= 10


@pytest.mark.parametrize("mode", LIVES)
def test_each_row_is_there_once_whatever_is_killed(
    stories: dict[str, list[Story]], mode: str
) -> None:
    for story in stories[mode]:
        *lives, last = story["lives"]
        assert all(status in (0, -signal.SIGKILL) for status, _ in lives), story
        assert last[0] == 0, story
        assert Counter(last[1]) == ROWS, story
        assert story["rest"] == [], story


def test_what_a_killed_run_shows_is_never_wrong(stories: dict[str, list[Story]]) -> None:
    old, new = [-1], list(ROWS)
    for story in stories["durable"]:
        assert all(Counter(rows) <= ROWS for _, rows in story["lives"]), story
    for story in stories["file"] + stories["directory"]:
        assert all(rows in (old, new) for _, rows in story["lives"]), story


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
