"""Where a Redis is, and how it is reached: alone, in a cluster, or behind sentinels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import Field, SecretStr, field_validator

from pydatastream.core.component import Component
from pydatastream.core.errors import ConfigError
from pydatastream.parts.network.tls import Tls
from pydatastream.parts.network.urls import SecretUrl

SCHEMES = ("redis", "rediss")
KINDS = ("", "cluster", "sentinel")

CONNECT, ANSWER = 5.0, 30.0
"""Seconds to wait for a connection, and for an answer: one epoch may take a while to write."""


class RedisPlace(Component):
    """What source and sink have in common: the address, the user, TLS."""

    url: SecretUrl | None = Field(None, repr=False)
    """redis://user:password@host:port/db, or rediss:// for TLS; redis+cluster://host:port,...;
    redis+sentinel://host:port,.../service/db."""
    host: str = "localhost"
    """The host, if there is no `url`."""
    port: int = Field(6379, gt=0, lt=65536)
    """The port, if there is no `url`."""
    db: int = Field(0, ge=0)
    """The number of the database, if there is no `url`."""
    user: str | None = None
    """Who logs in; wins over the `url`."""
    password: SecretStr | None = None
    """The password; wins over the `url`."""
    tls: Tls | bool = False
    """Encrypt the connection, as rediss:// does: true, or {ca, cert, key, ..., insecure}."""

    @field_validator("url")
    @classmethod
    def _is_url(cls, url: str | None) -> str | None:
        if url is not None:
            parts = urlsplit(url)
            scheme, _, kind = parts.scheme.partition("+")
            if scheme not in SCHEMES or kind not in KINDS or not parts.netloc:
                raise ValueError("the url must be redis://host:port/db, or rediss:// for TLS")
            if parts.query or parts.fragment:
                raise ValueError("a redis url takes no options after `?`: they have names here")
        return url

    @property
    def cluster(self) -> bool:
        """Whether keys are spread over the nodes of a cluster."""
        return self._kind() == "cluster"

    @property
    def address(self) -> str:
        """Host and port, as messages name them."""
        return ",".join(f"{host}:{port}" for host, port in self._hosts())

    def client(self) -> Any:
        """A client that has not connected yet; retrying is the engine's."""
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        options = {**self._options(), "retry": Retry(NoBackoff(), 0)}
        hosts = self._hosts()
        if self.cluster:
            nodes = [redis.cluster.ClusterNode(host, port) for host, port in hosts]
            return redis.RedisCluster(startup_nodes=nodes, **options)
        if self._kind() == "sentinel":
            service, db = self._service()
            knock = {"socket_timeout": CONNECT, "socket_connect_timeout": CONNECT}
            watch = redis.Sentinel(hosts, sentinel_kwargs=knock)
            return watch.master_for(service, db=db, **options)
        (host, port), *_ = hosts
        return redis.Redis(host, port, db=self._db(), **options)

    def _parts(self) -> SplitResult:
        return urlsplit(self.url or "")

    def _kind(self) -> str:
        return self._parts().scheme.partition("+")[2]

    def _hosts(self) -> Sequence[tuple[str, int]]:
        if self.url is None:
            return [(self.host, self.port)]
        usual = 26379 if self._kind() == "sentinel" else 6379
        places = self._parts().netloc.rpartition("@")[2].split(",")
        found = [urlsplit(f"//{place}") for place in places]
        return [(one.hostname or "localhost", one.port or usual) for one in found]

    def _db(self) -> int:
        path = self._parts().path.strip("/")
        if not path.isdecimal() and path:
            raise ConfigError(f"{path!r} is no database: it has a number", hint="redis://host/0")
        return int(path or self.db)

    def _service(self) -> tuple[str, int]:
        service, _, db = self._parts().path.strip("/").partition("/")
        if not service:
            hint = "redis+sentinel://host:26379/mymaster"
            raise ConfigError("a sentinel url names the service", hint=hint)
        return service, int(db or self.db)

    def _options(self) -> Mapping[str, Any]:
        given, _, _ = self._parts().netloc.rpartition("@")
        user, _, password = given.partition(":")
        secret = self.password.get_secret_value() if self.password else unquote(password)
        found: dict[str, Any] = {"username": self.user or unquote(user) or None, "protocol": 2}
        found |= {"password": secret or None, "socket_keepalive": True}
        found |= {"socket_connect_timeout": CONNECT, "socket_timeout": ANSWER}
        if self.tls or self._parts().scheme.startswith("rediss"):
            found |= _encrypted(self.tls if isinstance(self.tls, Tls) else Tls())
        return found


def _encrypted(tls: Tls) -> Mapping[str, Any]:
    tls.expect_files()
    secret = tls.key_password.get_secret_value() if tls.key_password else None
    files = {"ca_certs": tls.ca, "certfile": tls.cert, "keyfile": tls.key, "password": secret}
    known = {f"ssl_{name}": value for name, value in files.items() if value}
    check = "none" if tls.insecure else "required"
    return {"ssl": True, "ssl_cert_reqs": check, "ssl_check_hostname": not tls.insecure, **known}
