"""A directory, or one file, that a run replaces as a whole when it is complete."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl

from pydatastream.core import durable
from pydatastream.core.errors import ConfigError
from pydatastream.core.faults import fault_point
from pydatastream.parts.files import staging
from pydatastream.parts.files.marker import refuse_markers
from pydatastream.parts.files.naming import Names
from pydatastream.parts.files.staging import Layout, Part, Stage


class DirectoryReplaced:
    """Replaces a directory, at once, by one with the parts of this run."""

    def __init__(self, directory: Path, layout: Layout) -> None:
        if directory.is_mount():
            hint = f"a directory inside it, path: {directory / 'result'}/"
            raise ConfigError("a mount cannot be replaced", where=str(directory), hint=hint)
        self._directory, self._layout = directory, layout
        self._new = directory.with_name(f".{directory.name}.pds-new")
        self._old = directory.with_name(f".{directory.name}.pds-old")
        self._stage: Stage | None = None
        self._last: int | None = None
        self._recover()
        _refuse_others(directory, layout.names)

    def begin(self, epoch: int) -> None:
        self.close()
        durable.make_directory(self._new)
        self._stage = Stage(self._new, self._layout, epoch, "new")
        fault_point("file.begun")

    def write(self, rows: pl.DataFrame) -> None:
        if self._stage:
            self._stage.write(rows)

    def publish(self, epoch: int) -> None:
        if epoch != self._last:
            stage = staging.begun(self._stage, epoch)
            staging.reveal(self._new, stage.settle(), stage.token)
            with durable.stopping(self._directory):
                _refuse_others(self._directory, self._layout.names)
                self._swap()
            self._last, self._stage = epoch, None

    def published(self) -> int | None:
        return self._last

    def close(self) -> None:
        if self._stage:
            self._stage.abandon()
        self._stage = None
        shutil.rmtree(self._new, ignore_errors=True)

    def _swap(self) -> None:
        if self._directory.exists():
            shutil.copymode(self._directory, self._new)
            durable.move(self._directory, self._old)
        fault_point("file.away")
        try:
            durable.move(self._new, self._directory)
            durable.settle_directory(self._directory.parent)
        finally:
            self._recover()
        fault_point("file.published")

    def _recover(self) -> None:
        """Bring the old directory back if no new one came, else remove it."""
        if not self._old.exists():
            return
        if self._directory.exists():
            shutil.rmtree(self._old, ignore_errors=True)
        else:
            durable.move(self._old, self._directory)


def _refuse_others(directory: Path, names: Names) -> None:
    refuse_markers(directory)
    why = "replacing the directory would delete this, which no pipeline wrote"
    refuse_files(directory, why, lambda file: not names.owns(file))


def refuse_files(directory: Path, why: str, wrong: Callable[[str], bool]) -> None:
    """Raise `ConfigError` for the first file there whose name is wrong."""
    for path in sorted(directory.iterdir()) if directory.exists() else ():
        if wrong(path.name):
            hint = "write into a directory of its own, or move this one away"
            raise ConfigError(why, where=str(path), hint=hint)


class FileReplaced:
    """Replaces one file, at once, by the rows of this run."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self._path, self._layout = path, layout
        self._part: Part | None = None
        self._begun: int | None = None
        self._last: int | None = None

    def begin(self, epoch: int) -> None:
        self.close()
        durable.make_directory(self._path.parent)
        self._part, self._begun = Part(staging.hidden(self._path, "new"), self._layout), epoch
        fault_point("file.begun")

    def write(self, rows: pl.DataFrame) -> None:
        if self._part:
            self._part.write(rows)

    def publish(self, epoch: int) -> None:
        if self._part and epoch == self._begun:
            self._part.settle()
            durable.move(self._part.path, self._path)
            durable.settle_directory(self._path.parent)
            self._part, self._last = None, epoch
        fault_point("file.published")

    def published(self) -> int | None:
        return self._last

    def close(self) -> None:
        part, self._part = self._part, None
        if part:
            part.abandon()
