import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pydatastream.core import durable, faults
from pydatastream.core.errors import StopError


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    faults.arm(None)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every sync and rename, in order, with the name of what it was done to."""
    seen: list[str] = []
    sync, rename = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        seen.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        sync(descriptor)

    def renamed(source: Path, target: Path) -> Path:
        seen.append(f"rename {source.name} {target.name}")
        return rename(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    return seen


def test_replace_syncs_the_file_before_its_name_and_the_directory_after(
    tmp_path: Path, steps: list[str]
) -> None:
    durable.replace(tmp_path / "marker", b"one")
    assert steps == ["sync marker.tmp", "rename marker.tmp marker", f"sync {tmp_path.name}"]
    assert [path.name for path in tmp_path.iterdir()] == ["marker"]
    assert (tmp_path / "marker").read_bytes() == b"one"


def test_directories_are_synced_into_the_one_above(tmp_path: Path, steps: list[str]) -> None:
    durable.make_directory(tmp_path / "a" / "b")
    durable.make_directory(tmp_path / "a" / "b")
    assert steps == [f"sync {tmp_path.name}", "sync a"]


def test_create_replaces_a_leftover_and_follows_no_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("keep")
    (tmp_path / "new").symlink_to(victim)
    durable.create(tmp_path / "new").close()
    assert victim.read_text() == "keep"
    assert not (tmp_path / "new").is_symlink()


@pytest.mark.parametrize("point", ["created", "flushed", "synced", "moved", "directory_synced"])
def test_a_step_that_fails_says_where(tmp_path: Path, point: str) -> None:
    (tmp_path / "marker").write_bytes(b"old")
    faults.arm(f"durable.{point}:raise")
    with pytest.raises(StopError, match="dmesg") as stop:
        durable.replace(tmp_path / "marker", b"new")
    assert str(tmp_path) in str(stop.value)
    before = point in ("created", "flushed", "synced")
    assert (tmp_path / "marker").read_bytes() == (b"old" if before else b"new")


def test_a_failed_sync_closes_the_file_and_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def full(descriptor: int) -> None:
        tries.append(descriptor)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    file = durable.create(tmp_path / "rows")
    with pytest.raises(StopError, match=r"rows: cannot write: No space left(.|\n)*free space"):
        durable.settle(file, tmp_path / "rows")
    assert len(tries) == 1
    assert file.closed
