"""What stops a run: one clear message, nothing half visible, and a way on."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from fault_cases import WINDOWS
from fault_runs import Children, Killer, Rows, points, read
from fault_scenarios import refused_twice

COMMAND = (sys.executable, "-m", "pydatastream", "run", "pipeline.yaml", "-q")


@pytest.fixture
def killer(children: Children, shm: Path) -> Killer:
    return Killer(children, WINDOWS, shm)


def said(place: Path) -> str:
    return (place / "stderr.txt").read_text()


def ended(killer: Killer, place: Path) -> int | None:
    return killer.children.wait(killer.children.start(place))


def interrupted(killer: Killer, fault: str = "checkpoint.after_commit:kill:4") -> Path:
    place = killer.place()
    killer.run(place, fault=fault)
    return place


# -- owners --------------------------------------------------------------------------------------


def test_a_second_owner_is_refused_also_while_the_first_is_halted(
    children: Children, shm: Path
) -> None:
    assert refused_twice(children, shm)


def test_a_pipeline_of_another_name_is_refused(killer: Killer) -> None:
    place = interrupted(killer)
    text = (place / "pipeline.yaml").read_text()
    (place / "pipeline.yaml").write_text(text.replace("name: windows", "name: other"))
    assert ended(killer, place) == 1
    assert "belongs to pipeline 'windows', not 'other'" in said(place)
    assert "try: " in said(place)


# -- what was lost -------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["out", "late"])
def test_an_output_that_is_gone_is_refused(killer: Killer, folder: str) -> None:
    place = interrupted(killer)
    shutil.rmtree(place / folder)
    for _ in range(2):  # the second time the folder is there again
        assert ended(killer, place) == 1
        assert "the sink has lost data" in said(place)
        assert "restore the sink, or start afresh" in said(place)
    assert not list(read(place / folder))


def test_an_old_copy_of_the_checkpoint_is_refused(killer: Killer) -> None:
    place = interrupted(killer, "checkpoint.after_commit:kill:3")
    shutil.copytree(place / "checkpoint", place / "copy")
    killer.run(place, fault="checkpoint.after_commit:kill:3")
    before = killer.case.found(place)
    shutil.rmtree(place / "checkpoint")
    (place / "copy").rename(place / "checkpoint")
    assert ended(killer, place) == 1
    assert "the checkpoint is an old copy, or was removed" in said(place)
    assert "restore the newest checkpoint" in said(place)
    assert killer.case.found(place) == before


def test_a_checkpoint_that_is_gone_is_refused(killer: Killer) -> None:
    place = interrupted(killer)
    shutil.rmtree(place / "checkpoint")
    assert ended(killer, place) == 1
    assert "the checkpoint is an old copy, or was removed" in said(place)


def test_a_damaged_checkpoint_is_refused(killer: Killer) -> None:
    place = interrupted(killer)
    with (place / "checkpoint" / "checkpoint.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)
    assert ended(killer, place) == 1
    assert "checkpoint.db is damaged" in said(place)


def test_a_source_that_was_replaced_is_refused(killer: Killer) -> None:
    place = interrupted(killer)
    (place / "in.jsonl").write_bytes((place / "in.jsonl").read_bytes()[::-1])
    assert ended(killer, place) == 1
    assert "in.jsonl: it was replaced or removed" in said(place)


def test_what_was_refused_goes_on_when_it_is_mended(killer: Killer) -> None:
    """However often it was refused: no row is to blame."""
    expected = killer.whole()
    place = interrupted(killer)
    shutil.move(place / "out", place / "away")
    for _ in range(6):
        assert ended(killer, place) == 1
    shutil.rmtree(place / "out")
    shutil.move(place / "away", place / "out")
    assert ended(killer, place) == 0
    assert killer.case.found(place) == expected


def test_an_output_may_be_added(killer: Killer) -> None:
    place = interrupted(killer)
    text = (place / "pipeline.yaml").read_text()
    one = "{type: file, path: out/, format: json}"
    two = f"{{output: {one}, more: {one.replace('out', 'more')}}}"
    (place / "pipeline.yaml").write_text(text.replace(f"output: {one}", f"outputs: {two}"))
    assert ended(killer, place) == 0, said(place)
    assert list(read(place / "more"))


# -- at least once -------------------------------------------------------------------------------


def test_at_least_once_loses_nothing(killer: Killer, long: bool) -> None:
    expected = killer.whole()
    for chain in killer.chains(6 if long else 1, 5):
        place = killer.place()
        with (place / "pipeline.yaml").open("a") as file:
            file.write("delivery: at_least_once\n")
        for fault in [*chain, None]:
            killer.run(place, fault=fault)
        whole = Counter({row: 1 for row in expected if row[0] != "out"})
        assert not whole - killer.case.found(place)


# -- disks ---------------------------------------------------------------------------------------


def prefixes(expected: Rows, found: Rows) -> None:
    assert not found - expected, "something is visible that should not be"


@pytest.mark.parametrize("at", [1, 4])
def test_a_disk_that_fails_stops_the_run_and_a_restart_completes(
    killer: Killer, at: int, long: bool
) -> None:
    expected = killer.whole()
    known = sorted(points("core/durable.py") & killer.passes.keys())
    for point in known if long else known[at % 2 :: 2]:
        place = killer.place()
        pid = killer.children.start(place, fault=f"{point}:raise:{at}")
        assert killer.children.wait(pid) == 1, point
        assert "cannot write: a fault was asked for" in said(place), said(place)
        assert "Traceback" not in said(place)
        prefixes(expected, killer.case.found(place))
        assert ended(killer, place) == 0, said(place)
        assert killer.case.found(place) == expected, point


@pytest.mark.parametrize("size", [3_000, 40_000])
def test_a_file_that_may_not_grow_stops_the_run(killer: Killer, size: int) -> None:
    """RLIMIT_FSIZE: first a file of the sink cannot be written, or the checkpoint itself."""
    expected = killer.whole()
    place = killer.place()
    done = subprocess.run(
        COMMAND,
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )
    assert done.returncode == 1, done.stderr
    assert "error: " in done.stderr
    assert "try: " in done.stderr
    assert "defect" not in done.stderr
    prefixes(expected, killer.case.found(place))
    assert ended(killer, place) == 0, said(place)
    assert killer.case.found(place) == expected


def test_a_full_disk_stops_the_run(killer: Killer, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "none", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        expected = killer.whole()
        place = killer.case.prepare(disk / "run")
        filler = disk / "filler"
        filler.write_bytes(b"x" * (256 - 80 - 64) * 1024)
        assert ended(killer, place) == 1, said(place)
        assert "No space left" in said(place) or "is full" in said(place)
        prefixes(expected, killer.case.found(place))
        filler.unlink()
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        assert ended(killer, place) == 0, said(place)
        assert killer.case.found(place) == expected
    finally:
        subprocess.run(["umount", "-l", disk], check=True)
