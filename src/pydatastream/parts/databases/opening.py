"""From an address to a connection."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from pydatastream.core.errors import ConfigError
from pydatastream.parts.databases.database import Database
from pydatastream.parts.databases.generic import Generic
from pydatastream.parts.databases.postgres import Postgres
from pydatastream.parts.databases.sqlite import Sqlite
from pydatastream.parts.network.tls import Tls
from pydatastream.parts.network.urls import masked

_POSTGRES = ("postgresql", "postgres", "postgresql+psycopg")


def opened(url: str, patience: float, *, create: bool = False, tls: Tls | None = None) -> Database:
    """A connection; `RetryLater` where the server is out of reach.

    `patience` is how many seconds a statement may take; `create` makes a file of SQLite.
    """
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return Sqlite(sqlite_path(url), create=create, wait=min(patience, 5.0))
    try:
        if parts.scheme in _POSTGRES:
            place = f"{parts.hostname or 'localhost'}:{parts.port or 5432}"
            return Postgres(f"postgresql{url[len(parts.scheme) :]}", place, patience, tls)
        return Generic(url, masked(url))
    except ModuleNotFoundError as error:
        what = f"{parts.scheme or url!r} needs {error.name}, which is not installed"
        hint = "pip install 'pydatastreamprocessor[sql]'"
        raise ConfigError(what, hint=hint) from None


def sqlite_path(url: str) -> str:
    """The path in sqlite:///relative.db or sqlite:////absolute.db.

    >>> sqlite_path("sqlite:///data/my.db"), sqlite_path("sqlite:////srv/my.db")
    ('data/my.db', '/srv/my.db')
    """
    rest = url.removeprefix("sqlite://")
    if not rest.startswith("/") or rest == "/":
        raise ConfigError(
            f"{url!r} names no file", hint="sqlite:///relative.db, sqlite:////absolute.db"
        )
    return unquote(rest[1:])
