"""Power loss: what is promised must be on the disk before the promise.

A kill cannot see a missing sync. The short form reads the order of system calls; the long form
copies an ext4 image at the moment of the kill, as a power loss would leave it, and goes on there.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_bugs import POWER
from fault_cases import STDIN, WINDOWS, lines, rows
from fault_runs import Children, Killer, Rows

from services.install import Missing, program

HERE = Path(__file__).parent
CALLS = "fsync,fdatasync,rename,renameat,renameat2,write,pwrite64,writev,openat,unlink,ftruncate"
_FD = re.compile(r"^(?:\d+ +)?(\w+)\((\d+)<([^>]+)>")
_MOVED = re.compile(r'^(?:\d+ +)?rename\w*\((?:[^"]*)"([^"]+)",(?:[^"]*) ?"([^"]+)"')


class Disk:
    """What a power loss would leave, as the system calls of a run tell it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.dirty: set[str] = set()
        """Files with content, and directories with names, that are not on the disk."""
        self.broken: list[str] = []
        self.commits = 0

    def heard(self, line: str) -> None:
        """One line of strace."""
        if moved := _MOVED.match(line):
            self._moved(*(str(self._folder / name) for name in moved.groups()))
        elif told := _FD.match(line):
            self._done(told[1], told[3], line)

    def _done(self, call: str, path: str, line: str) -> None:
        if not path.startswith(str(self._folder)) or "(deleted)" in line:
            return
        if call in ("fsync", "fdatasync"):
            self._synced(path)
        elif call in ("write", "pwrite64", "writev", "ftruncate"):
            if path not in self.dirty and not path.endswith(("checkpoint.db", "-journal", ".txt")):
                self.dirty.add(path)
            self._database(path, "written")

    def _synced(self, path: str) -> None:
        self.dirty -= {path}
        self._database(path, "synced")

    def _moved(self, source: str, target: str) -> None:
        if source in self.dirty:
            self.broken.append(f"{source} gets its name before its content is on the disk")
        self.dirty.add(str(Path(target).parent))
        if Path(target).name.startswith(".pds-"):
            self._marked(Path(target).parent)

    def _marked(self, folder: Path) -> None:
        """A marker promises the parts beside it."""
        for path in self.dirty:
            if Path(path).parent == folder and "part-" in path:
                self.broken.append(f"{path} is promised by a marker, and not on the disk")

    def _database(self, path: str, what: str) -> None:
        """A sync of the database is a commit: it names segments, markers and the spool."""
        if not path.endswith("checkpoint.db") or what != "synced":
            return
        self.commits += 1
        for one in self.dirty:
            if "/segments" in one or one.endswith(("/out", "/late", ".pds")):
                self.broken.append(f"{one} is not on the disk at commit {self.commits}")


def traced(place: Path, bug: str | None, stdin: str = os.devnull) -> tuple[Disk, str]:
    """A run under strace, and what it says."""
    log = place / "strace.txt"
    command = ["strace", "-f", "-y", "-s", "0", "-e", f"trace={CALLS}", "-o", str(log)]
    code = f"import fault_bugs, sys; {_planted(bug)}; from pydatastream.cli import main; main()"
    run = [sys.executable, "-c", code, "run", "pipeline.yaml", "-q"]
    environment = {**os.environ, "PYTHONPATH": str(HERE), "TMPDIR": str(place)}
    with (place / stdin).open("rb") as given:
        done = subprocess.run(
            [*command, *run], cwd=place, env=environment, stdin=given, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    disk = Disk(place)
    for line in log.read_text().splitlines():
        disk.heard(line)
    return disk, log.read_text()


def _planted(bug: str | None) -> str:
    small = "from pydatastream import segments; segments.INLINE = 0"
    return f"{small}; fault_bugs.plant({bug!r})" if bug else small


@pytest.fixture(scope="session")
def strace() -> None:
    """The tool, installed if need be; where that is not possible, skip and say so."""
    try:
        program("strace", "strace")
    except Missing as reason:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no strace here: {reason}")


def in_order(place: Path, bug: str | None) -> None:
    """The order of syncs in a run of WINDOWS and one of STDIN."""
    disk, told = traced(WINDOWS.prepare(place / "windows"), bug)
    assert not disk.broken, disk.broken[0]
    assert disk.commits > 10
    journal = len(re.findall(r"f(?:data)?sync\(\d+<[^>]*-journal>", told))
    assert journal >= 2 * (disk.commits - 4), "each commit syncs the journal twice"
    place = STDIN.prepare(place / "stdin")
    (place / "feed").write_bytes(lines(rows(300)))
    disk, told = traced(place, bug, "feed")
    spooled(told)


def spooled(told: str) -> None:
    """Each record of the spool is synced before the next, and before any commit after it."""
    pending, seen = False, 0
    for line in told.splitlines():
        call = _FD.match(line)
        if call and call[3].endswith(".log") and "/spool/" in call[3]:
            pending, seen = call[1] == "write", seen + 1
        elif call and call[3].endswith("checkpoint.db") and call[1] in ("fsync", "fdatasync"):
            continue
    assert seen >= 2
    assert not pending, "the spool is not synced"


def test_syncs_come_in_order(strace: None, tmp_path: Path) -> None:
    in_order(tmp_path, None)


@pytest.mark.slow
@pytest.mark.parametrize("bug", POWER)
def test_a_missing_sync_is_caught(strace: None, tmp_path: Path, bug: str) -> None:
    with pytest.raises(AssertionError):
        in_order(tmp_path, bug)


# -- an image of a disk --------------------------------------------------------------------------


class Image:
    """A disk that keeps only what was synced when it is copied."""

    def __init__(self, folder: Path) -> None:
        self.file, self.mount = folder / "disk.img", folder / "disk"
        self.mount.mkdir(parents=True)
        with self.file.open("wb") as file:
            file.truncate(48 << 20)
        _sh("mkfs.ext4", "-q", "-F", self.file)
        self._mounted(self.file)

    def _mounted(self, file: Path) -> None:
        # commit=300: the system itself writes nothing back while we look
        _sh("mount", "-o", "loop,commit=300,noatime", file, self.mount)

    def lose_power(self) -> None:
        """Go on with what the disk holds at this moment."""
        copy = self.file.with_suffix(".copy")
        _sh("cp", "--sparse=always", self.file, copy)
        self.close()
        copy.replace(self.file)
        subprocess.run(["e2fsck", "-p", str(self.file)], capture_output=True, check=False)
        self._mounted(self.file)

    def close(self) -> None:
        _sh("umount", self.mount)


def _sh(*command: str | Path) -> None:
    subprocess.run(list(map(str, command)), check=True, capture_output=True)


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Image]:
    try:
        disk = Image(tmp_path / "image")
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no disk image can be mounted here (it needs root): {error}")
    yield disk
    disk.close()


def power_losses(
    children: Children, image: Image, folder: Path, count: int, bug: str | None
) -> None:
    """Some with the checkpoint on another disk: its syncs also settle what outputs forgot."""
    killer = Killer(children, WINDOWS, folder, bug, small=True)
    expected: Rows = killer.whole()
    point = ("epoch.published_one", "epoch.published", "checkpoint.after_commit", "file.remembered")
    for number in range(count):
        place = WINDOWS.prepare(image.mount / f"run-{number}")
        if number // len(point) % 2:
            (folder / f"checkpoint-{number}").mkdir()
            (place / "checkpoint").symlink_to(folder / f"checkpoint-{number}")
        os.sync()
        for at in (3, 2):
            fault = f"{point[number % len(point)]}:kill:{at + number // len(point)}"
            pid = children.start(place, bug=bug, small=True, fault=fault)
            assert children.wait(pid) in (0, -signal.SIGKILL), said(place)
            image.lose_power()
        assert children.wait(children.start(place, bug=bug, small=True)) == 0, said(place)
        assert WINDOWS.found(place) == expected, f"after power loss {number}"
        shutil.rmtree(place)


def said(place: Path) -> str:
    return (place / "stderr.txt").read_text()[-2000:]


@pytest.mark.slow
def test_power_losses_lose_nothing(children: Children, image: Image, shm: Path) -> None:
    power_losses(children, image, shm, 15, None)


@pytest.mark.slow
@pytest.mark.parametrize(
    "bug",
    ["parts_not_synced", "directories_not_synced", "segments_not_synced", "commits_not_synced"],
)
def test_a_power_loss_shows_a_missing_sync(
    bug: str, children: Children, image: Image, shm: Path
) -> None:
    """That of a directory where no other file is synced: ext4 writes names with any of them."""
    with pytest.raises((AssertionError, OSError, ValueError)):
        power_losses(children, image, shm, 8, bug)
