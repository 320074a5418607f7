"""What PostgreSQL's errors mean for a run."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from pydatastream.core.errors import ConfigError, PdsError, RetryLater, RowError, StopError
from pydatastream.parts.network.tls import Tls

if TYPE_CHECKING:
    import psycopg

CONNECT: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "application_name": "pydatastream",
}
"""Settings by which a peer that is gone is noticed."""

HEALS = ("08", "40", "53", "57", "58", "55P03", "25P0")
"""Classes of what may heal: the connection, deadlocks, resources, restarts, locks."""

OF_A_ROW = ("22", "23", "54", "P0001", "44")
"""Classes of what is wrong with a row: values, constraints, limits, a trigger's own errors."""

_REMEDIES = {
    "42501": "grant this user the right to it",
    "42P01": "check `table:`; `create: true` at an output makes it",
    "42703": "check the names of columns: they are case-sensitive",
    "42P10": "`key:` must be the primary key or have a unique index",
}

_REFUSED = {
    "authentication failed": "check user and password in `url:`",
    "no password supplied": "put the password into `url:`, by ${VARIABLE}",
    "does not exist": "check the names of database and user in `url:`",
    "no pg_hba.conf entry": "the server does not let this user in from here (pg_hba.conf)",
    "permission denied": "grant this user the right to connect",
    "invalid": "check `url:`: postgresql://user:password@host:port/database",
}


def encryption(tls: Tls | None) -> dict[str, Any]:
    """Settings for an encrypted connection."""
    if tls is None:
        return {}
    tls.expect_files()
    mode = "require" if tls.insecure else "verify-full"
    password = tls.key_password.get_secret_value() if tls.key_password else None
    files = {"sslcert": tls.cert, "sslkey": tls.key, "sslpassword": password}
    trusted = {} if tls.insecure else {"sslrootcert": tls.ca or "system"}
    return {"sslmode": mode, **trusted, **{name: one for name, one in files.items() if one}}


def unreachable(error: psycopg.Error, place: str) -> PdsError:
    """Why a connection could not be made."""
    told = str(error).strip().splitlines()[-1]
    for word, hint in _REFUSED.items():
        if word in told:
            return ConfigError(told.split("FATAL:")[-1].strip(), where=place, hint=hint)
    return RetryLater(f"PostgreSQL at {place} cannot be reached: {told}")


@contextmanager
def patient(database: psycopg.Connection[Any], place: str, seconds: float) -> Iterator[None]:
    """Turn errors into instructions; a server that does not answer in time counts as gone."""
    import psycopg

    watch = threading.Timer(seconds, _hang_up, (database,))
    watch.daemon = True
    watch.start()
    try:
        yield
    except psycopg.Error as error:
        raise _meaning(error, database, place) from error
    finally:
        watch.cancel()


def _hang_up(database: psycopg.Connection[Any]) -> None:
    with suppress(Exception):
        line = socket.socket(fileno=os.dup(database.fileno()))
        line.shutdown(socket.SHUT_RDWR)
        line.close()


def _meaning(error: psycopg.Error, database: psycopg.Connection[Any], place: str) -> PdsError:
    state, told = error.sqlstate or "", error.diag.message_primary or str(error).strip()
    if state.startswith(HEALS) or (not state and (database.closed or database.broken)):
        return RetryLater(f"PostgreSQL at {place}: {told}")
    if state.startswith(OF_A_ROW):
        detail = error.diag.message_detail
        return RowError(f"{told}: {detail}" if detail else told)
    return StopError(told, where=place, hint=_REMEDIES.get(state))
