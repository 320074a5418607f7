"""A remote place of files, as a sink needs it: hidden until revealed, with a marker beside."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol
from urllib.parse import quote

from pydatastream.core.errors import ConfigError, Fenced, StopError
from pydatastream.core.sink import Write
from pydatastream.parts.files.naming import Names


@dataclass(frozen=True, slots=True)
class Staged:
    """A file that is whole at the server, and hidden."""

    name: str
    """The name it will have."""
    size: int
    """In bytes."""
    key: Mapping[str, Any]
    """How the server finds it while it is hidden, JSON-able."""


class Upload(Protocol):
    """One hidden file being written; what it is given may be at the server only when settled."""

    size: int

    def write(self, data: Any, /) -> int: ...
    def settle(self) -> Staged: ...
    def abandon(self) -> None: ...


class Depot(Protocol):
    """A remote directory.

    Rules: `reveal` gives a staged file its name, and does nothing if it has it already.
    `load` gives a small file with its version; `store` replaces it if it still has `version`
    (None: if it is not there), else it raises `Fenced`. `hidden` is what is not yet revealed of
    files with such names, and `discard` removes one of these. Every method raises `RetryLater` if
    the server is out of reach.
    """

    place: str
    """What it is called in messages."""

    def names(self, beginning: str) -> list[str]: ...
    def create(self, name: str, token: str) -> Upload: ...
    def reveal(self, staged: Staged) -> None: ...
    def remove(self, name: str) -> None: ...
    def hidden(self, names: Names) -> list[Any]: ...
    def discard(self, hidden: Any) -> None: ...
    def load(self, name: str) -> tuple[bytes, Any] | None: ...
    def store(self, name: str, content: bytes, version: Any) -> Any: ...
    def close(self) -> None: ...


class RemoteMarker:
    """The last epoch of a depot, its files, and the instance that writes there now.

    As `core.marker` has it for a directory here: the epoch never goes back, and an instance
    that starts takes the place over from the one before.
    """

    def __init__(self, depot: Depot, job: Write, names: Names) -> None:
        self.name = f".pds-{quote(job.pipeline, safe='')}-{quote(job.sink, safe='')}.json"
        self.epoch: int | None = None
        self.parts: list[Staged] = []
        self.token = secrets.token_hex(4)
        self._depot, self._job, self._version = depot, job, None
        self._named = {"pipeline": job.pipeline, "output": job.sink, **names.told}

    def load(self) -> bool:
        """Read what is remembered; False if nothing is."""
        found = self._depot.load(self.name)
        if found is None:
            return False
        content, self._version = found
        told = parsed(content)
        try:
            self.epoch, self.token = told["epoch"], told["token"]
            if self._job.again and told.get("owner") != self._job.owner:
                raise self._fenced()
            self.parts = [Staged(**part) for part in told["parts"]]
        except (KeyError, TypeError):
            hint = "restore it from a copy, or start afresh in an empty place"
            where = f"{self._depot.place}/{self.name}"
            raise StopError("this marker is damaged", where=where, hint=hint) from None
        return True

    def take(self) -> None:
        """Take the place over; what the last instance staged must be visible by now."""
        self.token = secrets.token_hex(4)
        self._write()

    def advance(self, epoch: int, parts: list[Staged]) -> None:
        """Remember a later epoch; `Fenced` if another instance has taken over."""
        self.epoch, self.parts = epoch, parts
        self._write()

    def check(self) -> None:
        """Raise `Fenced` if the marker is not as this instance left it."""
        found = self._depot.load(self.name)
        if found is None or found[1] != self._version:
            raise self._fenced()

    def _fenced(self) -> Fenced:
        what = f"{self.name} has changed: another instance writes here"
        return Fenced(what, where=self._depot.place, hint="stop one of the two")

    def _write(self) -> None:
        told = {"epoch": self.epoch, **self._named, "token": self.token, "owner": self._job.owner}
        content = json.dumps({**told, "parts": [asdict(part) for part in self.parts]})
        self._version = self._depot.store(self.name, content.encode(), self._version)


def parsed(content: bytes) -> dict[str, Any]:
    """A marker's content; empty if it is damaged."""
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def refuse_markers(depot: Depot, names: Names, own: str | None = None) -> None:
    """Raise `ConfigError` if a checkpointed output, other than `own`, writes there.

    One whose files cannot be called as `names` has it may.
    """
    for name in depot.names(".pds-"):
        if name != own and name.endswith(".json") and not names.apart(_pattern(depot, name)):
            what = f"{name} says that another pipeline, which has a checkpoint, writes here"
            raise ConfigError(what, where=depot.place, hint="write into another place")


def _pattern(depot: Depot, marker: str) -> str | None:
    found = depot.load(marker)
    return parsed(found[0]).get("names") if found else None
