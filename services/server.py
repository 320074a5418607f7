"""What every server has in common: a port, a folder, a process of its own."""

from __future__ import annotations

import ctypes
import fcntl
import os
import random
import re
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import IO, ClassVar, Self

from services.install import Missing, run

LOOPBACK = "127.0.0.1"
PATIENCE = 5.0
"""Seconds a server has to stop before it is killed."""

EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
"""The first and the last port that the kernel gives to those who name none."""

SPAN = 16_000
CLAIMS = Path(gettempdir()) / "pds-ports"
_CLAIMED: list[IO[str]] = []
"""A locked file per port of ours; the kernel unlocks them when this process ends."""

COMPLAINT = re.compile("error|fatal|exception|in use", re.IGNORECASE)

PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def free_port() -> int:
    """A port that is ours until this process ends, whether somebody listens on it or not.

    The kernel never gives such a port to a client: it is below those that it hands out. One from
    among those may be gone when a server comes back to it, and a client that tries it while nobody
    listens may even be connected to itself.
    """
    first, _ = map(int, EPHEMERAL.read_text().split())
    CLAIMS.mkdir(exist_ok=True)
    while True:
        port = random.SystemRandom().randrange(max(1024, first - SPAN), first)
        if _claimed(port):
            return port


def _claimed(port: int) -> bool:
    """Whether it is ours now: no other process of ours has it, and nobody listens."""
    claim = (CLAIMS / str(port)).open("w")
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with socket.socket() as probe:
            probe.bind((LOOPBACK, port))
    except OSError:
        claim.close()
        return False
    _CLAIMED.append(claim)
    return True


def answers(port: int) -> bool:
    """Whether somebody accepts connections on a loopback port."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_until(ready: Callable[[], bool], seconds: float, step: float = 0.02) -> bool:
    """Whether it became true in time."""
    end = time.monotonic() + seconds
    while not (done := ready()) and time.monotonic() < end:
        time.sleep(step)
    return done


@contextmanager
def folder() -> Iterator[Path]:
    """A temporary folder that a server's own user may enter."""
    with TemporaryDirectory(prefix="pds-service-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o755)
        yield Path(place)


class Server(ABC):
    """A real server that listens on loopback and keeps its data in one folder.

    It may be stopped, killed, paused and started again any number of times: port and data stay.
    It dies with the process that started it.
    """

    name: ClassVar[str]
    cannot_prove: ClassVar[str] = ""
    """What tests against it do not show about the service in production."""
    durable: ClassVar[bool] = True
    """Whether it has its data again after it was killed."""
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    start_seconds: ClassVar[float] = 30.0
    user: ClassVar[str | None] = None
    """Who it must run as when we are root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.behind = self.port
        """The port that a proxy passes on to."""
        self.outside = 0
        """Where a proxy must listen if the server itself tells its clients where to come, or 0."""
        self.process: subprocess.Popen[bytes] | None = None
        self._prepared = False

    @classmethod
    @abstractmethod
    def ensure(cls) -> None:
        """Install what it needs, if that is not there yet; `Missing` if it cannot be had."""

    @abstractmethod
    def command(self) -> list[str]:
        """The program in the foreground, with its arguments."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """What a user sets to reach it."""

    def prepare(self) -> None:  # noqa: B027 - most need nothing
        """Write what it needs in its folder, once."""

    def ready(self) -> bool:
        """Whether it serves."""
        return answers(self.port)

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def log(self) -> Path:
        """What it wrote since it was last started."""
        return self.folder / "log"

    def start(self) -> Self:
        """Start it, and return when it serves."""
        if not self._prepared:
            self._hand_over()
            self.prepare()
            self._prepared = True
        self.process = self._spawn()
        wait_until(lambda: self._over() or self.ready(), self.start_seconds)
        if self._over() or not self.ready():
            self.kill()
            raise Missing(f"{self.name} did not start:\n{self._complaint()}")
        return self

    def stop(self) -> None:
        """Ask it to stop; kill it if it takes too long. Once stopped, nothing happens."""
        self._end(self.stop_signal, PATIENCE)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._end(signal.SIGKILL, PATIENCE)

    def restart(self) -> Self:
        """Stop and start it, with its data and on its port."""
        self.stop()
        return self.start()

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def run(self, *command: str) -> str:
        """The output of one of its own tools, as the user it runs as."""
        return run(*(["setpriv", *self._as_user()] if self._other_user() else []), *command)

    def __enter__(self) -> Self:
        self.ensure()
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _spawn(self) -> subprocess.Popen[bytes]:
        user = self.user if self._other_user() else None
        with self.log.open("wb") as log:
            return subprocess.Popen(
                self.command(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=[] if user else None,
                preexec_fn=_die_with_parent,
            )

    def _hand_over(self) -> None:
        """Give the folder to the user it must run as."""
        self.folder.mkdir(exist_ok=True)
        if self._other_user():
            run("chown", f"{self.user}:", str(self.folder))

    def _other_user(self) -> bool:
        return self.user is not None and os.geteuid() == 0

    def _as_user(self) -> list[str]:
        return [f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"]

    def _complaint(self) -> str:
        """What its log says of errors, and how it ends."""
        lines = self.log.read_text(errors="replace").splitlines()
        errors = [line for line in lines if COMPLAINT.search(line)]
        return "\n".join([*errors[:10], "...", *lines[-10:]])

    def _over(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None and not self._over():
            os.kill(self.process.pid, number)

    def _end(self, number: signal.Signals, patience: float) -> None:
        self._signal(number)
        self._signal(signal.SIGCONT)
        if self.process is not None and not wait_until(self._over, patience):
            self._signal(signal.SIGKILL)
            self.process.wait()


def _die_with_parent() -> None:
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
