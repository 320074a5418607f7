"""Send rows to a web hook."""

from __future__ import annotations

import hashlib
import hmac
from functools import cached_property
from typing import ClassVar, Literal
from urllib.parse import quote

import polars as pl
from pydantic import Field, SecretStr

from pydatastream.core.errors import RowError
from pydatastream.core.faults import fault_point
from pydatastream.core.sink import Delivery, Write, Writer
from pydatastream.parts.messaging.messages import MessageSink
from pydatastream.parts.web.requests import Answer, Web, refused

STOPS = (401, 403, 404, 405)
"""Answers that are not about the rows, but about the request."""


class HttpSink(MessageSink):
    """Send rows to a web hook, some in one POST.

    A body is records in the format, by default JSON lines; with `array: true` a JSON array. Header
    `X-Pds-Signature: sha256=<hex>` is the HMAC-SHA256 of the body, if there is a `secret`.

    Delivery: at least once. Each POST has an `Idempotency-Key` of pipeline, output, epoch, number
    and a hash of the body: the same rows have the same key when they are sent again after a
    crash, so a receiver that keeps the keys drops repeats. A server that cannot be reached, or
    answers 5xx, 408, 425 or 429, is asked again, as late as Retry-After says; after any other
    answer the rows of that POST become dead letters, but 401, 403, 404, 405 and redirections stop
    the run.
    """

    delivery: ClassVar[Delivery] = Delivery.AT_LEAST_ONCE
    remote: ClassVar[bool] = True
    primary: ClassVar[str | None] = "url"
    example: ClassVar[str] = (
        '{type: http, url: "https://example.org/hook", secret: "${HOOK_SECRET:none}", batch: 100}'
    )

    url: str = Field(pattern="^https?://")
    """Where to send."""
    batch: int = Field(100, gt=0)
    """The most rows in one POST."""
    array: bool = False
    """Send a JSON array instead of JSON lines."""
    method: Literal["POST", "PUT"] = "POST"
    """How to send."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Further headers."""
    token: SecretStr | None = None
    """Sent as `Authorization: Bearer <token>`."""
    secret: SecretStr | None = None
    """What the body is signed with."""
    insecure: bool = False
    """Believe any certificate: whoever is in between can read and change all."""

    def check(self) -> None:
        """Reach the server; it is asked for nothing but its options."""
        web = Web(self.url, insecure=self.insecure)
        answer = web.ask("OPTIONS", self.plain_headers())
        web.close()
        if answer.heals or answer.status in (401, 403, 404):
            raise refused(web.name, answer)

    def open(self, job: Write) -> Writer:
        """Start sending."""
        return HttpWriter(self, job)

    @cached_property
    def accepted(self) -> set[tuple[int, str]]:
        """The requests of this epoch that were answered: not to be sent again after a pause."""
        return set()

    def plain_headers(self) -> dict[str, str]:
        """What every request has."""
        told = {"User-Agent": "pydatastream", **self.headers}
        if self.token:
            told["Authorization"] = f"Bearer {self.token.get_secret_value()}"
        return told


class HttpWriter:
    """Sends as rows come: what was sent cannot be held back."""

    def __init__(self, sink: HttpSink, job: Write) -> None:
        self._sink, self._job = sink, job
        self._encoder = sink.form().encoder(job.schema)
        self._web = Web(sink.url, insecure=sink.insecure)
        self._epoch = self._number = 0
        self._sent = False

    def begin(self, epoch: int) -> None:
        for old in [one for one in self._sink.accepted if one[0] != epoch]:
            self._sink.accepted.discard(old)
        self._epoch, self._number, self._sent = epoch, 0, False

    def write(self, rows: pl.DataFrame) -> None:
        """Send rows; `RowError` names those of the requests that were refused."""
        if self._sent:  # the rest of a frame of which some were refused
            self._sent = False
            return
        bad: list[int] = []
        why = ""
        for at in range(0, rows.height, self._sink.batch):
            part = rows[at : at + self._sink.batch]
            if (answer := self._post(part)) is not None:
                why = self._refused(answer)
                bad += range(at, at + part.height)
            fault_point("http.sent")
        if bad:
            self._sent = len(bad) < rows.height
            raise RowError(why, rows=bad)

    def publish(self, epoch: int) -> None:
        """All was answered: there is nothing more to do."""

    def published(self) -> int | None:
        return None

    def close(self) -> None:
        self._web.close()

    def _post(self, rows: pl.DataFrame) -> Answer | None:
        """The answer, if it is no success; a request that was answered is not sent again."""
        body, kind = self._body(rows)
        key = self._key(body)
        told = {**self._sink.plain_headers(), "Content-Type": kind, "Idempotency-Key": key}
        if self._sink.secret:
            secret = self._sink.secret.get_secret_value().encode()
            told["X-Pds-Signature"] = f"sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}"
        if (self._epoch, key) in self._sink.accepted:
            return None
        answer = self._web.ask(self._sink.method, told, body)
        if not 200 <= answer.status < 300:
            return answer
        self._sink.accepted.add((self._epoch, key))
        return None

    def _key(self, body: bytes) -> str:
        digest = hashlib.sha256(body).hexdigest()[:16]
        place = (self._job.pipeline, self._job.sink, str(self._epoch), str(self._number), digest)
        self._number += 1
        return "-".join(quote(one) for one in place)

    def _body(self, rows: pl.DataFrame) -> tuple[bytes, str]:
        if self._sink.array:
            return b"[" + b",".join(self._encoder.encode_messages(rows)) + b"]", "application/json"
        json = self._sink.form().type_name() == "json"
        body = self._encoder.start() + self._encoder.encode(rows) + self._encoder.end()
        return body, "application/x-ndjson" if json else "application/octet-stream"

    def _refused(self, answer: Answer) -> str:
        """Why rows are refused for good; raises what a person or time must heal."""
        error = refused(self._web.name, answer)
        if answer.heals or answer.status in STOPS or answer.status < 400:
            raise error
        return str(getattr(error, "what", error))
