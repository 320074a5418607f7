"""What a directory itself remembers: the last epoch published into it, and by whom."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydatastream.core import durable
from pydatastream.core.errors import ConfigError, Fenced, StopError
from pydatastream.core.sink import Write
from pydatastream.parts.files.naming import Names


class Marker:
    """The last epoch of a directory, its parts, and the instance that writes there now.

    The epoch never goes back. An instance that starts takes the directory over: one that was
    there before finds another token than its own and is `Fenced`.
    """

    def __init__(self, directory: Path, job: Write, names: Names) -> None:
        name = f".pds-{quote(job.pipeline, safe='')}-{quote(job.sink, safe='')}.json"
        self.path = directory / name
        self.epoch: int | None = None
        self.parts: list[str] = []
        self.token = secrets.token_hex(4)
        self._owner = {"pipeline": job.pipeline, "output": job.sink, **names.told}

    def load(self) -> bool:
        """Read what is remembered, the last instance's token included; False if nothing is."""
        found = self._found()
        if found:
            self.epoch, self.parts, self.token = found["epoch"], found["parts"], found["token"]
        return found is not None

    def take(self) -> None:
        """Take the directory over; what the last instance staged must be visible by now."""
        self.token = secrets.token_hex(4)
        self._write()

    def advance(self, epoch: int, parts: list[str]) -> None:
        """Remember a later epoch."""
        self.check()
        self.epoch, self.parts = epoch, parts
        self._write()

    def check(self) -> None:
        """Raise `Fenced` if the marker is not as this instance left it."""
        if self._found() != self._content():
            what = "the marker has changed: another instance writes here"
            raise Fenced(what, where=str(self.path), hint="stop one of the two")

    def _content(self) -> dict[str, Any]:
        return {"epoch": self.epoch, **self._owner, "parts": self.parts, "token": self.token}

    def _write(self) -> None:
        durable.replace(self.path, json.dumps(self._content()).encode())

    def _found(self) -> dict[str, Any] | None:
        if not self.path.exists():
            return None
        found = _parsed(self.path.read_bytes())
        if not self._fits(found):
            hint = "restore it from a copy, or start afresh in an empty directory"
            raise StopError("this marker is damaged", where=str(self.path), hint=hint)
        return found

    def _fits(self, found: dict[str, Any]) -> bool:
        owned = all(found.get(key) == name for key, name in self._owner.items())
        kinds = {"epoch": int | None, "parts": list, "token": str}
        return owned and all(k in found and isinstance(found[k], kinds[k]) for k in kinds)


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def refuse_markers(directory: Path, own: Path | None = None, names: Names | None = None) -> None:
    """Raise `ConfigError` if a checkpointed output, other than `own`, writes here.

    One whose files cannot be called as `names` has it may.
    """
    for path in directory.glob(".pds-*.json") if directory.exists() else ():
        told = {} if path == own else _parsed(path.read_bytes())
        if path != own and not (names and names.apart(told.get("names"))):
            owner = told.get("pipeline", path.name)
            what = f"this directory holds the output of pipeline {owner!r}, which has a checkpoint"
            raise ConfigError(what, where=str(path), hint="write into another directory")
