"""MongoDB: a connection, and what its errors mean for a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydatastream.core.errors import ConfigError, PdsError, RetryLater, StopError
from pydatastream.parts.network.tls import Tls

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError

    Client = MongoClient[dict[str, Any]]

HEALS = ("TransientTransactionError", "UnknownTransactionCommitResult", "RetryableWriteError")
"""Labels by which the server says that it may be tried again."""

_REMEDIES = {
    13: "grant this user the right to it",
    18: "check user and password in `uri:`, and `authSource`",
    73: "check `database:` and `collection:`",
}


def connected(uri: str, seconds: float, tls: Tls | None) -> Client:
    """A client that has found a server that takes writes."""
    try:
        import pymongo
    except ModuleNotFoundError:
        hint = "pip install 'pydatastreamprocessor[mongodb]'"
        raise ConfigError("mongodb needs pymongo, which is not installed", hint=hint) from None
    try:
        client: Client = pymongo.MongoClient(
            uri,
            w="majority",
            journal=True,
            tz_aware=True,
            appname="pydatastream",
            serverSelectionTimeoutMS=int(min(seconds, 5) * 1000),
            socketTimeoutMS=int(seconds * 1000),
            **_encryption(tls),
        )
    except (pymongo.errors.ConfigurationError, ValueError) as error:
        hint = "check `uri:`: mongodb://user:password@host:27017/"
        raise ConfigError(str(error), hint=hint) from None
    with translated(place(client)):
        client.admin.command("ping")
    return client


def place(client: Client) -> str:
    """Hosts and ports, without waiting for them."""
    nodes = client.topology_description.server_descriptions()
    return ", ".join(f"{host}:{port}" for host, port in sorted(nodes, key=str))


def has_transactions(client: Client) -> bool:
    """Whether it is a replica set, or a router to such."""
    hello = client.admin.command("hello")
    return "setName" in hello or hello.get("msg") == "isdbgrid"


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn the driver's errors into instructions."""
    from pymongo.errors import PyMongoError

    try:
        yield
    except PyMongoError as error:
        raise meaning(error, where) from error


def meaning(error: PyMongoError, where: str) -> PdsError:
    """What is to be done about an error of the driver."""
    from pymongo.errors import ConnectionFailure, OperationFailure

    told = str(error).split(", full error:")[0].split(", Timeout:")[0]
    labels = any(error.has_error_label(label) for label in HEALS)
    if isinstance(error, ConnectionFailure) or labels:
        return RetryLater(f"MongoDB at {where}: {told}")
    code = error.code if isinstance(error, OperationFailure) else None
    kind = ConfigError if code in (13, 18) else StopError
    return kind(told, where=where, hint=_REMEDIES.get(code or 0))


def _encryption(tls: Tls | None) -> dict[str, Any]:
    if tls is None:
        return {}
    tls.expect_files()
    password = tls.key_password.get_secret_value() if tls.key_password else None
    files = {
        "tlsCAFile": tls.ca,
        "tlsCertificateKeyFile": tls.key or tls.cert,
        "tlsCertificateKeyFilePassword": password,
    }
    given = {name: one for name, one in files.items() if one}
    return {"tls": True, "tlsInsecure": tls.insecure, **given}
