"""SQS and S3: moto, which keeps everything in memory."""

from __future__ import annotations

import os

from services.install import environment, run
from services.server import LOOPBACK, Server

REQUIREMENTS = ("moto[server]>=5.1,<6",)


class Aws(Server):
    """A stand-in for SQS and S3, without accounts."""

    name = "aws"
    durable = False
    cannot_prove = (
        "durability (a restart forgets everything), throughput, or that a stale receipt handle "
        "is refused"
    )

    @classmethod
    def ensure(cls) -> None:
        environment("moto", *REQUIREMENTS)

    def command(self) -> list[str]:
        server = environment("moto", *REQUIREMENTS) / "moto_server"
        return [str(server), "-H", LOOPBACK, "-p", str(self.port)]

    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": f"http://{self.address}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "eu-central-1",
        }

    def python(self, statements: str) -> str:
        """What statements print that use boto3, run in the server's own environment."""
        python = environment("moto", *REQUIREMENTS) / "python"
        reach = {**os.environ, **self.environment()}
        return run(str(python), "-c", f"import boto3, json; {statements}", env=reach)
