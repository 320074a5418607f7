"""How call records are made, and where they go."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydatastream.core.errors import ConfigError

START = "2024-01-01T00:00:00"
"""The simulated time of the first record: fixed, so that a run that is started again goes on."""


@dataclass(frozen=True, slots=True)
class Mode:
    """What is meant where nothing is said."""

    total_seconds: int
    lines_per_second: int
    sftp_host: str
    sftp_port: int


DEV = Mode(86_400, 1, "localhost", 10022)
PROD = Mode(172_800, 5, "sftp", 22)


def mode(environment: Mapping[str, str] = os.environ) -> Mode:
    """Development where somebody is logged in, production elsewhere, as in a container.

    >>> mode({"USER": "ada"}) is DEV, mode({}) is PROD
    (True, True)
    """
    return DEV if environment.get("USER") else PROD


@dataclass(frozen=True, slots=True)
class SftpServer:
    """Where files are uploaded to, and by which key the server is known."""

    host: str
    port: int
    user: str
    path: str
    key_file: str | None = None
    host_key: str | None = None
    known_hosts: str | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """One job: how many records of each kind, and where they go."""

    total_seconds: int
    lines_per_second: int
    output: Path
    start: datetime
    seed: int = 0
    line_count: int = 1000
    pace: float | None = None
    brokers: str | None = None
    """None: to no topics."""
    sftp: SftpServer | None = None
    """None: to no server."""

    def __post_init__(self) -> None:
        if self.lines_per_second > self.line_count:
            what = f"{self.lines_per_second} lines per second, and {self.line_count} in a file"
            hint = "files are called by the second: more lines in a file, --line-count"
            raise ConfigError(f"{what}: two files would have one name", hint=hint)

    @property
    def count(self) -> int:
        """Records of each kind."""
        return self.total_seconds * self.lines_per_second

    @property
    def name(self) -> str:
        """What sinks remember the run by: the same start and seed give the same records."""
        return f"cdr-{self.start:%Y%m%d_%H%M%S}-{self.seed}"


def moment(text: str) -> datetime:
    """A time as it is given, UTC where no zone is said."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        hint = f"ISO-8601, such as {START}"
        raise ConfigError(f"--start {text!r} is no time", hint=hint) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
