"""Addresses with a password in them, which is never shown."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import PlainSerializer

HIDDEN = "***"


def masked(url: str) -> str:
    """The address without its password.

    >>> masked("redis://me:secret@db:6379/0")
    'redis://me:***@db:6379/0'
    """
    user, at, place = urlsplit(url).netloc.rpartition("@")
    if not at or ":" not in user:
        return url
    return url.replace(f"{user}@{place}", f"{user.partition(':')[0]}:{HIDDEN}@{place}", 1)


SecretUrl = Annotated[str, PlainSerializer(masked)]
"""An address in a description: serialised without its password."""
