"""Take rows from the web: ask an address again and again, or listen for requests."""

from __future__ import annotations

import hashlib
import queue
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode

import orjson
import polars as pl
from pydantic import Field, SecretStr, model_validator

from pydatastream.core.batch import Batch, Offset
from pydatastream.core.errors import SchemaError
from pydatastream.core.format import MAX_RECORD, StreamFormat
from pydatastream.core.source import Read, Reader
from pydatastream.core.times import Duration, micros
from pydatastream.parts.messaging.inbox import Inbox
from pydatastream.parts.messaging.messages import MessageSource, texts
from pydatastream.parts.web.door import Delivered, Door, address, is_loopback
from pydatastream.parts.web.requests import Answer, Web, refused

PATIENCE = 0.05
"""Seconds to wait for a request before saying that nothing has come."""


class HttpSource(MessageSource):
    """Take rows from the web: poll a URL, or listen for POST requests.

    A body is records in the format, or a JSON array of objects. With `url`, it is asked for every
    so often, with the ETag of the last answer, and with `cursor` as `<since>=<greatest value>`;
    an answer with the same body as the last gives nothing. With `listen`, requests bring rows;
    one is answered 200 when they are safe, 503 when they are not, and is then to be sent again.

    Delivery: not replayable. With a checkpoint, what came is spooled and synced before a request
    is answered, and polling goes on after the last cursor and ETag that are in the spool. What
    the other side changes between two polls is not seen. A request whose answer got lost may
    come twice.
    """

    replayable: ClassVar[bool] = False
    primary: ClassVar[str | None] = "url"
    example: ClassVar[str] = '{type: http, url: "https://example.org/readings", every: 30s}'

    url: str | None = Field(None, pattern="^https?://")
    """What to ask for, by GET."""
    every: Duration = "10s"
    """How often to ask."""
    cursor: str | None = None
    """The column whose greatest value says how far we have come."""
    since: str = "since"
    """The name of the query parameter for the cursor."""
    polls: int | None = Field(None, gt=0)
    """End after so many answers; by default it never ends."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Further headers of our requests."""
    listen: str | None = None
    """Where to listen for requests: "127.0.0.1:8080"; any other machine needs the `token`."""
    token: SecretStr | None = None
    """Sent, or asked for, as `Authorization: Bearer <token>`."""
    max_body: int = Field(MAX_RECORD, gt=0)
    """The largest request that is taken, in bytes."""
    insecure: bool = False
    """Believe any certificate: whoever is in between can read and change all."""

    @model_validator(mode="after")
    def _one_way(self) -> HttpSource:
        if (self.url is None) == (self.listen is None):
            raise ValueError("http needs either `url`, to ask, or `listen`, to be asked")
        if self.listen and not is_loopback(address(self.listen)[0]) and not self.token:
            raise ValueError(f"listen: {self.listen} can be reached by others: set a `token`")
        return self

    @property
    def bounded(self) -> bool:
        """Whether it ends after some answers."""
        return self.polls is not None and self.url is not None

    def check(self) -> None:
        """Ask once, or see whether the port is free; `ConfigError` says what is wrong."""
        if self.listen:
            self.door().close()
        else:
            asked(self, self.web(), {})

    def partitions(self) -> Sequence[str]:
        """There is one."""
        return ["http"]

    def sample(self) -> Sequence[bytes]:
        """The messages of one answer."""
        if self.listen:
            raise SchemaError("http needs a `schema:` to listen", hint="schema: {id: int}")
        return messages(self.form(), asked(self, self.web(), {}).body)

    def open(self, partition: str, job: Read) -> Reader:  # noqa: ARG002 - there is but one
        """Start asking, or listening."""
        inbox = self.inbox(job.schema)
        if self.listen:
            return ListenReader(self, self.door(), inbox)
        known = job.spooled[-1] if job.spooled else {}
        return PollReader(self, self.web(), inbox, known)

    def web(self) -> Web:
        """The server, not yet asked."""
        return Web(self.url or "", insecure=self.insecure)

    def door(self) -> Door:
        """The door, open."""
        token = self.token.get_secret_value() if self.token else None
        return Door(self.listen or "", token, self.max_body)


def asked(source: HttpSource, web: Web, known: Mapping[str, Any]) -> Answer:
    """One answer, new or 304."""
    told = {"User-Agent": "pydatastream", **source.headers}
    if source.token:
        told["Authorization"] = f"Bearer {source.token.get_secret_value()}"
    if known.get("etag"):
        told["If-None-Match"] = known["etag"]
    cursor = known.get("cursor")
    query = urlencode({source.since: cursor}) if source.cursor and cursor is not None else ""
    answer = web.ask("GET", told, query=query)
    if answer.status != 304 and not 200 <= answer.status < 300:
        raise refused(web.name, answer)
    return answer


def messages(form: StreamFormat, body: bytes) -> list[bytes]:
    """The records of a body, or the elements of a JSON array."""
    if form.type_name() == "json" and body.lstrip()[:1] == b"[":
        try:
            return [orjson.dumps(one) for one in orjson.loads(body)]
        except orjson.JSONDecodeError:
            return [body]
    end = form.separator
    if end is None:
        return [body] if body else []
    return [one for one in body.split(end) if one.strip()]


class PollReader:
    """Asks every so often; an offset is what to ask with next."""

    def __init__(
        self, source: HttpSource, web: Web, inbox: Inbox, known: Mapping[str, Any]
    ) -> None:
        self._source, self._web, self._inbox = source, web, inbox
        self._known = dict(known)
        self._pause = micros(source.every) / 1e6

    def __iter__(self) -> Iterator[Batch | None]:
        left, due = self._source.polls, 0.0
        while left != 0:
            if time.monotonic() < due:
                time.sleep(min(PATIENCE, max(0.0, due - time.monotonic())))
                yield None
                continue
            yield self._batch(asked(self._source, self._web, self._known))
            due = time.monotonic() + self._pause
            left = left and left - 1

    def commit(self, offset: Offset) -> None:
        """Nothing to tell the server."""

    def close(self) -> None:
        """End the connection."""
        self._web.close()

    def _batch(self, answer: Answer) -> Batch | None:
        digest = hashlib.sha256(answer.body).hexdigest()
        if answer.status == 304 or not answer.body or digest == self._known.get("digest"):
            return None
        found = messages(self._source.form(), answer.body)
        decoded = self._inbox.read(found, lambda n: f"record {n} of {self._web.name}")
        self._known.update(digest=digest, etag=answer.headers.get("ETag"))
        self._advance(decoded.rows)
        return Batch(decoded.rows, dict(self._known), decoded.dead)

    def _advance(self, rows: pl.DataFrame) -> None:
        column = self._source.cursor
        if column in rows.columns and rows.height:
            greatest = rows.select(pl.col(column).max()).to_series()
            if greatest[0] is not None:
                self._known["cursor"] = texts(greatest)[0]


class ListenReader:
    """Gives what requests bring; they are answered when it is safe."""

    def __init__(self, source: HttpSource, door: Door, inbox: Inbox) -> None:
        self._source, self._door, self._inbox = source, door, inbox
        self._count = 0
        self._given: list[tuple[int, list[Delivered]]] = []

    def __iter__(self) -> Iterator[Batch | None]:
        while True:
            found = self._arrived()
            yield self._batch(found) if found else None

    def commit(self, offset: Offset) -> None:
        """Answer the requests up to here."""
        while self._given and self._given[0][0] <= offset["n"]:
            for one in self._given.pop(0)[1]:
                one.safe.set()

    def close(self) -> None:
        """Listen no more; it may be closed twice."""
        self._door.close()

    def _arrived(self) -> list[Delivered]:
        found: list[Delivered] = []
        try:
            found.append(self._door.arrived.get(timeout=PATIENCE))
            while True:
                found.append(self._door.arrived.get_nowait())
        except queue.Empty:
            return found

    def _batch(self, found: list[Delivered]) -> Batch:
        form = self._source.form()
        payloads = [one for delivered in found for one in messages(form, delivered.body)]
        decoded = self._inbox.read(payloads, lambda n: f"request {self._count}, record {n}")
        self._count += len(found)
        self._given.append((self._count, found))
        return Batch(decoded.rows, {"n": self._count}, decoded.dead)
