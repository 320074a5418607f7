"""The content of one file of a remote place: by ranges, or from a copy here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Protocol

import polars as pl

from pydatastream.core.errors import ConfigError, SourceGap
from pydatastream.core.format import SAMPLE_BYTES, FileFormat, Format, StreamFormat
from pydatastream.parts.files.compressed import Compression, Content, content
from pydatastream.parts.files.listing import PACKED

COPIED = 8 << 20
"""Bytes that are asked for at once when a file is copied here."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A remote file as it was when it was looked at."""

    size: int
    version: str
    """It changes when the content does."""
    modified: float = 0.0
    """When it was last written to, in seconds since 1970 by the server's clock."""


class Origin(Protocol):
    """A remote place that is read.

    `names` are the files that are there; `seen` is None for one that is not; `read` gives
    exactly that range, or raises `SourceGap` if the file is not as it was seen. `close` ends one
    use of the place, and each use begins with `use`.
    """

    place: str

    def use(self) -> None: ...
    def names(self) -> list[str]: ...
    def seen(self, name: str) -> Seen | None: ...
    def read(self, name: str, seen: Seen, at: int, size: int) -> bytes: ...
    def close(self) -> None: ...


class Ranges(Content):
    """The bytes of a remote file as they are; what was read last is kept."""

    damage: str | None = None

    def __init__(self, origin: Origin, name: str, seen: Seen) -> None:
        self._origin, self._name, self._seen = origin, name, seen
        self._start, self._held = 0, b""
        self.ended = False

    def read(self, at: int, size: int) -> bytes:
        """Up to `size` bytes from `at`; `SourceGap` if the file has changed."""
        end = min(at + size, self._seen.size)
        if not (self._start <= at and end <= self._start + len(self._held)):
            wanted = max(end - at, 0)
            self._held = self._origin.read(self._name, self._seen, at, wanted) if wanted else b""
            self._start = at
        self.ended = at + size >= self._seen.size
        return self._held[at - self._start : end - self._start]


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a remote place, as it was seen."""

    origin: Origin
    name: str
    seen: Seen
    compression: Compression = "auto"

    @contextmanager
    def content(self) -> Iterator[Content]:
        """Its content, unpacked; a compressed file is copied here first."""
        kind = PACKED.get(PurePosixPath(self.name).suffix.lower(), "none")
        if (kind if self.compression == "auto" else self.compression) == "none":
            yield Ranges(self.origin, self.name, self.seen)
            return
        with self.copied() as path, path.open("rb") as file:
            yield content(file.fileno(), self.compression, grows=False)

    @contextmanager
    def copied(self) -> Iterator[Path]:
        """A copy of it in a temporary folder, for as long as it is needed."""
        with TemporaryDirectory(prefix="pds-") as folder:
            path = Path(folder) / "copy"
            with path.open("xb") as file:
                for at in range(0, self.seen.size, COPIED):
                    size = min(COPIED, self.seen.size - at)
                    file.write(self.origin.read(self.name, self.seen, at, size))
            yield path


def inferred(files: Iterator[RemoteFile], form: Format, place: str) -> pl.Schema:
    """The schema of the first file that is not empty."""
    for file in files:
        if file.seen.size and isinstance(form, FileFormat):
            with file.copied() as path:
                return form.infer_file(path)
        if isinstance(form, StreamFormat) and (sample := _sample(file, form)):
            return form.infer(sample)
    what = f"nothing to infer a schema from in {place}"
    raise ConfigError(what, hint="declare `schema:` at the source")


def _sample(file: RemoteFile, form: StreamFormat) -> bytes:
    """The records at the start of a file, as far as they are whole."""
    with file.content() as found:
        sample = found.read(0, SAMPLE_BYTES)
        end = form.separator or form.resync
        whole = sample.rfind(end) + 1 if end and not found.ended else 0
        return sample[: whole or len(sample)]


def gap(path: str, why: str) -> SourceGap:
    """The error that says which file is not as it was."""
    hint = "bring the file back as it was, or start afresh with a new checkpoint"
    return SourceGap(f"{path} {why}", hint=hint)
