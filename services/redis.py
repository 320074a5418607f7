"""Redis from Debian's packages; every write is on disk before it is answered."""

from __future__ import annotations

from services.install import program
from services.server import LOOPBACK, Server


class Redis(Server):
    """Redis with an append-only file, synced at every write."""

    name = "redis"

    @classmethod
    def ensure(cls) -> None:
        program("redis-server", "redis-server")
        program("redis-cli", "redis-tools")

    def command(self) -> list[str]:
        listen = ["--port", str(self.port), "--bind", LOOPBACK, "--dir", str(self.folder)]
        durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        return ["redis-server", *listen, "--daemonize", "no", *durable]

    def ready(self) -> bool:
        """Whether it has read its data back: it accepts connections before that."""
        return super().ready() and self.cli("PING").strip() == "PONG"

    def environment(self) -> dict[str, str]:
        return {"REDIS_URL": f"redis://{self.address}/0"}

    def cli(self, *words: str) -> str:
        """What redis-cli prints for a command."""
        return self.run("redis-cli", "-h", LOOPBACK, "-p", str(self.port), *words)
