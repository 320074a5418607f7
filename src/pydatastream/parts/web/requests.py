"""One connection to an HTTP server: kept open, its failures told apart."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from email.utils import parsedate_to_datetime
from time import time
from urllib.parse import urlsplit

from pydatastream.core.errors import ConfigError, RetryLater, StopError

SECONDS = 30.0
"""How long to wait for an answer."""

LARGEST = 64 << 20
"""Bytes of an answer that are read."""

PASSING = {408, 425, 429}
"""Codes below 500 of what heals by itself."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    status: int
    headers: Message
    body: bytes

    @property
    def heals(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status >= 500 or self.status in PASSING


class Web:
    """A server that is asked one thing after the other."""

    def __init__(self, url: str, *, insecure: bool = False) -> None:
        parts = urlsplit(url)
        self._secure, self._host = parts.scheme == "https", parts.hostname or ""
        self._port = parts.port or (443 if self._secure else 80)
        self._insecure = insecure
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self.name = f"{parts.scheme}://{self._host}:{self._port}{parts.path}"
        self._line: http.client.HTTPConnection | None = None

    def ask(
        self, method: str, headers: Mapping[str, str], body: bytes | None = None, query: str = ""
    ) -> Answer:
        """One request; `RetryLater` if there is no answer."""
        path = self._path
        if query:
            path += ("&" if "?" in path else "?") + query
        fresh = self._line is None
        try:
            return self._asked(method, path, headers, body)
        except (http.client.HTTPException, OSError) as error:
            self.close()
            if isinstance(error, ssl.SSLCertVerificationError):
                raise self._untrusted(error) from error
            if not fresh and isinstance(error, (http.client.RemoteDisconnected, BrokenPipeError)):
                return self.ask(method, headers, body, query)  # it was closed while it was idle
            why = str(error) or type(error).__name__
            raise RetryLater(f"{self.name} cannot be reached: {why}") from error

    def close(self) -> None:
        """End the connection; it may be closed twice."""
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _asked(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        self._line = line = self._line or self._opened()
        line.request(method, path, body, dict(headers))
        answer = line.getresponse()
        content = answer.read(LARGEST + 1)
        if len(content) > LARGEST:
            self.close()
            raise StopError(f"{self.name} answers with more than {LARGEST} bytes")
        return Answer(answer.status, answer.headers, content)

    def _opened(self) -> http.client.HTTPConnection:
        if not self._secure:
            return http.client.HTTPConnection(self._host, self._port, timeout=SECONDS)
        context = ssl.create_default_context()
        if self._insecure:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection(self._host, self._port, timeout=SECONDS, context=context)

    def _untrusted(self, error: ssl.SSLCertVerificationError) -> ConfigError:
        what = f"{self.name} shows a certificate that is not trusted: {error.verify_message}"
        return ConfigError(what, hint="SSL_CERT_FILE names the authorities that are trusted")


def pause_asked(answer: Answer) -> float:
    """Seconds that the server asks to wait: Retry-After, as a number or a date."""
    asked = answer.headers.get("Retry-After", "")
    if asked.isdigit():
        return float(asked)
    with suppress(ValueError, TypeError):
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time())
    return 0.0


def refused(name: str, answer: Answer) -> Exception:
    """What an answer that is no success means."""
    shown = answer.body[:200].decode(errors="replace")
    what = f"{name} answers {answer.status}: {shown}"
    if answer.heals:
        return RetryLater(what, after=min(pause_asked(answer), 3600.0))
    hints = {401: "check `token` and `headers`", 403: "check `token` and `headers`"}
    hint = hints.get(answer.status, "check `url`")
    return ConfigError(what, hint=hint)
