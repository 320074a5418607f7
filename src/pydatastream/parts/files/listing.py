"""Which files a path stands for: one, a directory's or a glob's, never outside its root."""

from __future__ import annotations

import logging
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path, PurePath

from pydatastream.core.errors import ConfigError

PACKED = {".gz": "gzip", ".zst": "zstd"}
"""Endings of compressed files."""

FORMATS = {
    "json": "json",
    "jsonl": "json",
    "ndjson": "json",
    "csv": "csv",
    "parquet": "parquet",
    "avro": "avro",
    "arrow": "arrow",
    "ipc": "arrow",
    "feather": "arrow",
    "txt": "text",
    "log": "text",
    "bin": "binary",
    "pcap": "pcap",
}
"""The format that a file's ending stands for."""

_ALL = "[!._]*"
_log = logging.getLogger("pydatastream")


def format_of(path: str) -> str | None:
    """The name of the format that a path's ending stands for, if it says.

    >>> format_of("data/*.jsonl.gz"), format_of("app.log"), format_of("data")
    ('json', 'text', None)
    """
    name = PurePath(path)
    inner = name.with_suffix("") if name.suffix in PACKED else name
    return FORMATS.get(inner.suffix[1:].lower())


@dataclass(frozen=True, slots=True)
class Listing:
    """The files under `root` that `pattern` names; one file if `single`."""

    root: Path
    pattern: str
    single: bool = False

    def names(self) -> list[str]:
        """Names of the regular files, relative to the root, sorted; hidden ones left out."""
        if self.single:
            return [self.pattern] if self._regular(self.pattern) else []
        found = (path.relative_to(self.root) for path in self.root.glob(self.pattern))
        shown = {str(name) for name in found if not any(part[0] == "." for part in name.parts)}
        return sorted(name for name in shown if self._regular(name))

    def open(self, name: str) -> int:
        """A descriptor of a regular file inside the root.

        Raises `ConfigError` for anything else, `FileNotFoundError` if it is gone.
        """
        path = str(self.root / name)
        if not self._is_plain(name):
            if refusal := self._refusal(name):
                hint = "name the file itself, or copy it into the directory"
                raise ConfigError(refusal, hint=hint)
            path = os.path.realpath(path)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
        raise ConfigError(f"{self.root / name} is not a regular file")

    def may_be_empty(self, *, follow: bool) -> bool:
        """Whether it is no mistake that no file is there: those of a stream may come later."""
        return self.root.is_dir() and (follow or self.pattern == _ALL)

    def missing(self) -> ConfigError:
        """The error that says what is not there, and what has a similar name."""
        place = self.root
        while not place.is_dir():
            place = place.parent
        wanted = (self.root / self.pattern).relative_to(place).parts[0]
        what = "no such file" if self.single else "no file matches"
        near = get_close_matches(wanted, [entry.name for entry in place.iterdir()], n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"look into {place}"
        return ConfigError(f"{what}: {self.root / self.pattern}", hint=hint)

    def _regular(self, name: str) -> bool:
        if self._is_plain(name):
            return True
        refusal = self._refusal(name)
        if refusal and self.single:
            raise ConfigError(refusal, hint="name the file that the link points to")
        if refusal:
            _refused(refusal)
        return not refusal and (self.root / name).is_file()

    def _is_plain(self, name: str) -> bool:
        """Whether it stands in the root itself and is no link, as most; told by one look."""
        with suppress(FileNotFoundError):
            return os.sep not in name and stat.S_ISREG(os.lstat(self.root / name).st_mode)
        return False

    def _refusal(self, name: str) -> str | None:
        path = self.root / name
        if not Path(os.path.realpath(path)).is_relative_to(self.root):
            return f"{path} leads outside {self.root}"
        if path.exists() and not (path.is_file() or path.is_dir()):
            return f"{path} is not a regular file"
        return None


@cache
def _refused(why: str) -> None:
    """Say once that a file is left out."""
    _log.warning("file left out: %s", why)


def listing(path: str) -> Listing:
    """What a path stands for now: a glob, a directory's files or one file."""
    whole = Path(path)
    parts = whole.parts
    magic = [n for n, part in enumerate(parts) if any(sign in part for sign in "*?[")]
    if magic and not whole.exists():
        return Listing(_real(Path(*parts[: magic[0]])), str(PurePath(*parts[magic[0] :])))
    if whole.is_dir():
        return Listing(_real(whole), _ALL)
    return Listing(_real(whole.parent), whole.name, single=True)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
