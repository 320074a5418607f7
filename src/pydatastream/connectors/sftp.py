"""Read files from an SFTP server, and write files to it."""

from __future__ import annotations

import posixpath
import stat
import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Literal

from pydantic import Field

from pydatastream.core.errors import ConfigError, StopError
from pydatastream.core.sink import Delivery, Write, Writer
from pydatastream.parts.files.naming import Names
from pydatastream.parts.remote.depot import Staged, Upload
from pydatastream.parts.remote.file import Origin, Seen, gap
from pydatastream.parts.remote.parts import RemoteParts
from pydatastream.parts.remote.sink import RemoteSink
from pydatastream.parts.remote.source import RemoteSource
from pydatastream.parts.ssh.server import SshServer
from pydatastream.parts.ssh.session import Ssh
from pydatastream.parts.ssh.versions import Versions

SETTLED = 1.0
"""Seconds a file must be as it is before it counts as written to its end."""


class SftpSource(SshServer, RemoteSource):
    """Read files from an SFTP server.

    The path is a directory, one file, or a glob. Each file is a partition. Names that begin with
    a dot or an underscore are left out, and so are links. A file that was written to a moment ago
    is read when it has not changed for a second, or with `ready: done` when `<name>.done` stands
    beside it, which is surer.

    Delivery: replayable. An offset holds the file's size and time, and a position in it. A file
    that was replaced or removed before its end was read stops the run; one that was read is not
    looked at again.
    """

    example: ClassVar[str] = (
        "{type: sftp, host: files.example.org, user: pds, key_file: ~/.ssh/id_ed25519, "
        "path: in/*.jsonl, format: json, time: ts}"
    )

    path: str = Field(min_length=1)
    """A directory, a file, or a glob in the last part: "in/*.csv"; relative to the login's."""
    ready: Literal["stable", "done"] = "stable"
    """When a file may be read: it has not changed for a second, or `<name>.done` is there."""

    def connected(self) -> Origin:
        """The place on the server."""
        return SftpOrigin(self.server(), self.path, done=self.ready == "done")

    def readiness(self) -> Callable[[Seen], bool]:
        """A file is whole when its size and time stay the same."""
        return (lambda _: True) if self.ready == "done" else Settled(certain=self.follow)


class Settled:
    """Whether a file has not changed for a while; unless `certain`, an old one is believed."""

    def __init__(self, *, certain: bool) -> None:
        self._certain, self._version, self._since = certain, "", 0.0

    def __call__(self, seen: Seen) -> bool:
        if not self._certain and time.time() - seen.modified > SETTLED:
            return True
        if seen.version != self._version:
            self._version, self._since = seen.version, time.monotonic()
        return time.monotonic() - self._since >= SETTLED


class SftpOrigin:
    """A directory of the server that is read."""

    def __init__(self, server: Ssh, path: str, *, done: bool) -> None:
        self._server, self._path, self._done = server, path, done
        self._users = 0
        magic = any(sign in posixpath.basename(path) for sign in "*?[")
        self._folder = posixpath.dirname(path) or "." if magic else path
        self._pattern = posixpath.basename(path) if magic else "[!._]*"
        self._single: str | None = None
        self.place = f"{server.name}/{path}"

    def use(self) -> None:
        self._users += 1

    def close(self) -> None:
        self._users -= 1
        if not self._users:
            self._server.close()

    def names(self) -> list[str]:
        with self._server.speaking(self._folder) as sftp:
            if stat.S_ISREG(sftp.stat(self._folder).st_mode):
                self._single = posixpath.basename(self._folder)
                return [self._single]
            found = sftp.listdir_attr(self._folder)
        names = {one.filename for one in found if stat.S_ISREG(one.st_mode)}
        shown = [one for one in names if one[0] not in "._" and fnmatchcase(one, self._pattern)]
        return sorted(one for one in shown if not self._done or f"{one}.done" in names)

    def seen(self, name: str) -> Seen | None:
        path = self._of(name)
        with self._server.speaking(path) as sftp:
            try:
                found = sftp.stat(path)
            except FileNotFoundError:
                return None
        return Seen(found.st_size, _version(found), found.st_mtime)

    def read(self, name: str, seen: Seen, at: int, size: int) -> bytes:
        path = self._of(name)
        with self._server.speaking(path) as sftp:
            try:
                return self._read(sftp, path, seen, at, size)
            except FileNotFoundError:
                raise gap(f"{self.place}: {path}", "is no longer there") from None

    def _read(self, sftp: Any, path: str, seen: Seen, at: int, size: int) -> bytes:
        """Many requests under way at once: each is 32 KiB at most."""
        with sftp.open(path, "rb") as file:
            if _version(file.stat()) != seen.version:
                raise gap(f"{self.place}: {path}", "was written to or replaced while it was read")
            return b"".join(file.readv([(at, size)]))

    def _of(self, name: str) -> str:
        return self._folder if name == self._single else posixpath.join(self._folder, name)


def _version(found: Any) -> str:
    return f"{found.st_size}-{found.st_mtime}"


class SftpSink(SshServer, RemoteSink):
    """Write rows to a directory of part files on an SFTP server.

    Files are named `part-<epoch>-<n>.<extension>`, or as `names` says; an epoch without rows gives
    none. Outputs with `names` that begin differently may share a directory.

    Delivery: exactly once. Rows go to hidden files `.<name>.<token>.part`. With a checkpoint,
    publishing an epoch syncs them and compares their sizes, then gives the marker
    `.pds-<pipeline>-<output>.json.<version>` its next version, then renames them; a file that has
    its name and size is done, so what a crash has left is completed by the next start. A version
    is named by a rename that fails where there is a file, so an old instance that wakes up cannot
    publish. Without a checkpoint a run replaces the parts of the last one. The server must know
    posix-rename and rename so that nothing is replaced, as OpenSSH does; where it knows fsync
    too, a part survives its power loss.
    """

    delivery: ClassVar[Delivery] = Delivery.EXACTLY_ONCE
    example: ClassVar[str] = (
        "{type: sftp, host: files.example.org, user: pds, key_file: ~/.ssh/id_ed25519, "
        "path: out/, format: json}"
    )

    path: str = Field(min_length=1)
    """The directory; it is made if the one above it is there."""

    def check(self) -> None:
        """Connect and look; `ConfigError` says what is wrong."""
        SftpDepot(self.server(), self.path, make=False).close()

    def open(self, job: Write) -> Writer:
        """Start writing; `ConfigError` for a place that may not be written like this."""
        layout = self.layout(job.schema)
        return RemoteParts(SftpDepot(self.server(), self.path, make=True), layout, job)


class SftpDepot:
    """A directory of the server that is written to."""

    def __init__(self, server: Ssh, path: str, *, make: bool) -> None:
        self._server, self._folder = server, path.rstrip("/") or "/"
        self.place = f"{server.name}/{path}"
        self._versions = Versions(server, self._folder, self.place)
        try:
            with server.speaking(self._folder) as sftp:
                self._enter(sftp, make)
        except BaseException:
            server.close()
            raise

    def _enter(self, sftp: Any, make: bool) -> None:
        try:
            found = sftp.stat(self._folder)
        except FileNotFoundError:
            above = posixpath.dirname(self._folder) or "."
            if not make:
                sftp.stat(above)
                return
            sftp.mkdir(self._folder)
            return
        if not stat.S_ISDIR(found.st_mode):
            raise ConfigError(f"{self.place} is no directory", hint="path: of a directory")

    def names(self, beginning: str) -> list[str]:
        with self._server.speaking(self._folder) as sftp:
            found = map(self._versions.plain, sftp.listdir(self._folder))
            return sorted({one for one in found if one.startswith(beginning)})

    def create(self, name: str, token: str) -> Upload:
        path = self._of(f".{name}.{token}.part")
        with self._server.speaking(path) as sftp:
            file = sftp.open(path, "wb")
            file.set_pipelined(True)
        return SftpUpload(self._server, name, path, file)

    def reveal(self, staged: Staged) -> None:
        """Rename; a file that has the name and the size is done."""
        hidden, shown = staged.key["path"], self._of(staged.name)
        with self._server.speaking(shown) as sftp:
            try:
                sftp.posix_rename(hidden, shown)
            except FileNotFoundError:
                if _size(sftp, shown) != staged.size:
                    what = f"neither {hidden} nor a {shown} of {staged.size} bytes is there"
                    hint = "bring the file back, or start afresh with a new checkpoint"
                    raise StopError(what, where=self.place, hint=hint) from None

    def remove(self, name: str) -> None:
        with self._server.speaking(name) as sftp:
            sftp.remove(self._of(name))

    def hidden(self, names: Names) -> list[Any]:
        return [name for name in self.names(f".{names.beginning}") if names.owns(name)]

    def discard(self, hidden: Any) -> None:
        self.remove(hidden)

    def load(self, name: str) -> tuple[bytes, Any] | None:
        return self._versions.load(name)

    def store(self, name: str, content: bytes, version: Any) -> Any:
        return self._versions.store(name, content, version)

    def close(self) -> None:
        self._server.close()

    def _of(self, name: str) -> str:
        return posixpath.join(self._folder, name)


class SftpUpload:
    """A hidden file being written; requests are under way while more come."""

    def __init__(self, server: Ssh, name: str, path: str, file: Any) -> None:
        self._server, self._name, self._path, self._file = server, name, path, file
        self.size = 0

    def write(self, data: Any, /) -> int:
        with self._server.speaking(self._path):
            self._file.write(bytes(data))
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back here."""

    def settle(self) -> Staged:
        with self._server.speaking(self._path):
            self._server.sync(self._file)
            found = self._file.stat().st_size
            self._file.close()
        if found != self.size:
            raise StopError(f"{self._path} has {found} bytes, not {self.size}")
        return Staged(self._name, self.size, {"path": self._path})

    def abandon(self) -> None:
        with self._server.speaking(self._path) as sftp:
            self._file.close()
            sftp.remove(self._path)


def _size(sftp: Any, path: str) -> int | None:
    try:
        return int(sftp.stat(path).st_size)
    except FileNotFoundError:
        return None
