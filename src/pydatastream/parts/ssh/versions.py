"""Small files of an SFTP server that only who knows the last version may replace."""

from __future__ import annotations

import posixpath
import re
import secrets
from contextlib import suppress
from typing import Any

from pydatastream.core.errors import Fenced
from pydatastream.core.faults import fault_point
from pydatastream.parts.ssh.session import Ssh

_VERSION = re.compile(r"^([.]pds-.+[.]json)[.]\d+$")


class Versions:
    """Files of which each version has a name of its own: `<name>`, `<name>.1`, `<name>.2`, ...

    The protocol cannot replace a file only if it is as it was, but a plain rename fails where a
    file is in the way, in one step: of all who know version 7, one alone makes version 8, and
    then removes version 7. Who comes so late that 8 is gone, too, finds its own 7 gone: versions
    are removed in their order, and each by a successor.
    """

    def __init__(self, server: Ssh, folder: str, place: str) -> None:
        self._server, self._folder, self._place = server, folder, place
        self._made = False

    def plain(self, file: str) -> str:
        """The name of which a file is a version; any other file's own."""
        return _VERSION.sub(r"\1", file)

    def load(self, name: str) -> tuple[bytes, int] | None:
        """Content and number of the last version; None if there is none."""
        with self._server.speaking(name) as sftp:
            while numbers := self._numbers(sftp, name):
                with (
                    suppress(FileNotFoundError),  # its successor is there
                    sftp.open(self._of(name, numbers[-1]), "rb") as file,
                ):
                    return file.read(), numbers[-1]
        return None

    def store(self, name: str, content: bytes, version: int | None) -> int:
        """The number of a new version; `Fenced` if `version` is not the last one."""
        number = 0 if version is None else version + 1
        with self._server.speaking(name) as sftp:
            if not self._create(sftp, name, number, content):
                raise self._fenced(name)
            fault_point("sftp.versioned")
            if not self._follows(sftp, name, number):
                self._remove(sftp, self._of(name, number))
                raise self._fenced(name)
        self._made = True
        return number

    def _create(self, sftp: Any, name: str, number: int, content: bytes) -> bool:
        """Whether this version was not there, and is now, whole."""
        beside, shown = f"{self._of(name)}.{secrets.token_hex(4)}.new", self._of(name, number)
        with sftp.open(beside, "wb") as file:
            file.write(content)
            self._server.sync(file)
        try:
            sftp.rename(beside, shown)
        except OSError as error:
            taken = isinstance(error, FileNotFoundError) or self._there(sftp, shown)
            self._remove(sftp, beside)
            if not taken:
                raise
            return False
        return True

    def _follows(self, sftp: Any, name: str, number: int) -> bool:
        """Whether the version before was the last one; it, and what is older, is removed."""
        if self._made:
            return self._remove(sftp, self._of(name, number - 1))
        numbers = self._numbers(sftp, name)
        if numbers[-1] != number or (number and number - 1 not in numbers):
            return False
        for one in numbers[:-1]:
            self._remove(sftp, self._of(name, one))
        for one in sftp.listdir(self._folder):  # left by who died before it had its name
            if one.startswith(f"{name}.") and one.endswith(".new"):
                self._remove(sftp, posixpath.join(self._folder, one))
        return True

    def _numbers(self, sftp: Any, name: str) -> list[int]:
        """The versions that are there, the last one last."""
        ends = (
            one.removeprefix(name) for one in sftp.listdir(self._folder) if one.startswith(name)
        )
        return sorted(int(end[1:] or 0) for end in ends if not end or end[1:].isdigit())

    def _remove(self, sftp: Any, path: str) -> bool:
        """Whether it was there."""
        try:
            sftp.remove(path)
        except FileNotFoundError:
            return False
        return True

    def _there(self, sftp: Any, path: str) -> bool:
        try:
            sftp.stat(path)
        except FileNotFoundError:
            return False
        return True

    def _of(self, name: str, number: int = 0) -> str:
        return posixpath.join(self._folder, f"{name}.{number}" if number else name)

    def _fenced(self, name: str) -> Fenced:
        what = f"{name} has changed: another instance writes here"
        return Fenced(what, where=self._place, hint="stop one of the two")
