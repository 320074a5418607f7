"""Followed files that are removed: nothing of them stays, in the run or in its checkpoint."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from pydatastream import Pipeline
from pydatastream.engines.local import reading
from pydatastream.engines.local.run import Run
from pydatastream.engines.local.settings import Settings
from pydatastream.parts.files import tail

FILES, KEPT = 300, 5


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "GRACE", 0.05)
    monkeypatch.setattr(tail, "LEFT", 0.1)
    monkeypatch.setattr(reading, "LOOK_FOR_PARTITIONS", 0.02)


class Following:
    """A run that follows a folder, in a thread; it can be stopped and begun again."""

    def __init__(self, place: Path) -> None:
        self.place, self.folder = place, place / "in"
        self.folder.mkdir()

    def start(self) -> None:
        pipeline = (
            Pipeline("gone")
            .read("file", f"{self.folder}/*.jsonl", schema={"n": "int"}, format="json", follow=True)
            .write("file", f"{self.place}/out/", format="json")
            .checkpoint(f"{self.place}/checkpoint", "20ms")
        )
        self.stop = threading.Event()
        settings = Settings(**pipeline.settings(stop=self.stop))
        self.thread = threading.Thread(target=Run(pipeline.plan(), settings).run)
        self.thread.start()

    def end(self) -> None:
        self.stop.set()
        self.thread.join(20)

    def found(self) -> list[int]:
        files = sorted((self.place / "out").glob("part-*"))
        return sorted(n for one in files for n in pl.read_ndjson(one)["n"])

    def offsets(self) -> int:
        with sqlite3.connect(self.place / "checkpoint" / "checkpoint.db") as db:
            return int(db.execute("select count(*) from offsets").fetchone()[0])


def wait_for(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.01)


@pytest.fixture
def following(tmp_path: Path) -> Iterator[Following]:
    one = Following(tmp_path)
    one.start()
    yield one
    one.end()


def test_hundreds_of_files_come_and_go(
    following: Following, open_files: Callable[[Path], int]
) -> None:
    """Each has a name of its own, as logs with a date in their name have; old ones are removed."""
    for number in range(FILES):
        with (following.folder / f"{number:04}.jsonl").open("w") as file:
            file.write(f'{{"n": {number}}}\n')
        if number % 10 == 9:
            wait_for(lambda: len(following.found()) == number + 1)  # noqa: B023
            for old in sorted(following.folder.iterdir())[:-KEPT]:
                old.unlink()
        if number == FILES // 2:
            following.end()
            following.start()
    wait_for(lambda: open_files(following.folder) == KEPT)
    wait_for(lambda: following.offsets() < FILES // 10)
    assert following.found() == list(range(FILES))


def test_a_name_that_comes_again_stands_for_another_file(
    following: Following, open_files: Callable[[Path], int]
) -> None:
    log = following.folder / "app.jsonl"
    for number in range(4):
        log.write_text(f'{{"n": {number}}}\n')
        wait_for(lambda: len(following.found()) == number + 1)  # noqa: B023
        log.unlink()
        wait_for(lambda: open_files(following.folder) == 0)
        wait_for(lambda: following.offsets() == 0)
        if number == 1:
            following.end()
            following.start()
    assert following.found() == [0, 1, 2, 3]
