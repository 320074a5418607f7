"""MongoDB's wire protocol with transactions, by SecantusDB over WiredTiger."""

from __future__ import annotations

from services.install import environment
from services.server import LOOPBACK, Server

REQUIREMENTS = ("SecantusDB==0.7.0b3", "pymongo>=4.10")


class MongoDB(Server):
    """A server that speaks to MongoDB's drivers, as a replica set of one.

    It has an environment of its own: a tool for tests, never a dependency.
    """

    name = "mongodb"
    cannot_prove = "elections, or several nodes: w: 3 is refused"

    @classmethod
    def ensure(cls) -> None:
        environment("mongodb", *REQUIREMENTS)

    def command(self) -> list[str]:
        server = environment("mongodb", *REQUIREMENTS) / "secantusd-py"
        where = ["--host", LOOPBACK, "--port", str(self.port)]
        return [
            str(server),
            *where,
            "--storage-path",
            str(self.folder / "data"),
            "--sync-on-commit",
        ]

    def environment(self) -> dict[str, str]:
        return {"MONGODB_URI": f"mongodb://{self.address}/?directConnection=true"}

    def python(self, statements: str) -> str:
        """What statements print that use `client`, run by pymongo in its own environment."""
        uri = self.environment()["MONGODB_URI"]
        opened = f"import pymongo; client = pymongo.MongoClient({uri!r}); {statements}"
        return self.run(str(environment("mongodb", *REQUIREMENTS) / "python"), "-c", opened)
