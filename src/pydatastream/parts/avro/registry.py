"""Schemas by number, from a Confluent schema registry."""

from __future__ import annotations

import json
from typing import Any

from pydatastream.core.errors import RetryLater, RowError
from pydatastream.parts.web.requests import Web, refused

MAGIC = b"\0"
"""The first byte of a message that is framed; four bytes of the schema's number follow.

References: Confluent, Schema Registry, Wire format.
"""


class Registry:
    """Asks for each schema once; they never change."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self._url, self._headers = url.rstrip("/"), headers
        self._known: dict[int, Any] = {}
        self._missing: set[int] = set()

    def schema(self, number: int) -> Any:
        """The schema with this number; `RowError` if there is none."""
        if number in self._missing:
            raise RowError(f"the registry has no schema {number}")
        if number not in self._known:
            self._known[number] = self._asked(number)
        return self._known[number]

    def latest(self, subject: str) -> tuple[int, Any]:
        """The newest schema of a subject, and its number."""
        answer = self._get(f"/subjects/{subject}/versions/latest")
        return int(answer["id"]), json.loads(answer["schema"])

    def _asked(self, number: int) -> Any:
        try:
            return json.loads(self._get(f"/schemas/ids/{number}")["schema"])
        except LookupError:
            self._missing.add(number)
            raise RowError(f"the registry has no schema {number}") from None

    def _get(self, path: str) -> Any:
        web = Web(self._url + path)
        try:
            answer = web.ask("GET", self._headers)
        finally:
            web.close()
        if answer.status == 404:
            raise LookupError(path)
        if answer.status != 200:
            raise refused(web.name, answer)
        try:
            return json.loads(answer.body)
        except ValueError:
            raise RetryLater(f"{web.name} answers what is no JSON") from None


def framed(message: bytes) -> tuple[int, bytes]:
    """The schema's number and the rest; `RowError` if the message is not framed."""
    if len(message) < 5 or message[:1] != MAGIC:
        raise RowError("the message is not framed: no magic byte 0 and schema number before it")
    return int.from_bytes(message[1:5], "big"), message[5:]
