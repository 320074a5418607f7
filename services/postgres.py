"""PostgreSQL from Debian's packages, with fsync on."""

from __future__ import annotations

import signal
from pathlib import Path

from services.install import Missing, debian
from services.server import LOOPBACK, Server

INSTALLED = Path("/usr/lib/postgresql")


def tool(name: str) -> str:
    """The path of a program of the newest version that is installed."""
    found = sorted(INSTALLED.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise Missing("PostgreSQL is not installed")
    return str(found[-1])


class Postgres(Server):
    """PostgreSQL with one user, `postgres`, trusted on loopback."""

    name = "postgres"
    user = "postgres"  # it refuses to run as root
    stop_signal = signal.SIGINT

    @classmethod
    def ensure(cls) -> None:
        if not list(INSTALLED.glob("*/bin/initdb")):
            debian("postgresql", "postgresql-client")

    @property
    def data(self) -> str:
        """The folder of the data."""
        return str(self.folder / "data")

    def prepare(self) -> None:
        plain = ["-A", "trust", "-U", "postgres", "--no-locale", "-E", "UTF8"]
        self.run(tool("initdb"), "-D", self.data, *plain)

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": str(self.folder),
            "fsync": "on",
        }
        given = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return [tool("postgres"), "-D", self.data, "-p", str(self.port), *given]

    def ready(self) -> bool:
        try:
            self.run(tool("pg_isready"), "-q", "-h", LOOPBACK, "-p", str(self.port))
        except Missing:
            return False
        return True

    def environment(self) -> dict[str, str]:
        return {"POSTGRES_URL": f"postgresql://postgres@{self.address}/postgres"}

    def psql(self, sql: str) -> str:
        """What psql prints for a statement: rows as lines, columns split by `|`."""
        where = ["-h", LOOPBACK, "-p", str(self.port), "-U", "postgres"]
        return self.run(tool("psql"), *where, "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql)
