"""A small door for POST requests: each is answered when what it brought is safe."""

from __future__ import annotations

import hmac
import ipaddress
import json
import queue
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from pydatastream.core.errors import ConfigError

PATIENCE = 30.0
"""Seconds that a request may take to come, and its rows to be safe."""

AT_ONCE = 64
"""Requests at work at a time; more are turned away."""


@dataclass(slots=True)
class Delivered:
    """The body of one request, and whether it is safe by now."""

    body: bytes
    safe: threading.Event = field(default_factory=threading.Event)


def address(listen: str) -> tuple[str, int]:
    """Host and port of "127.0.0.1:8080"; else `ValueError`."""
    parts = urlsplit(f"//{listen}")
    if not parts.hostname or parts.port is None or parts.path or parts.username:
        raise ValueError(f"listen: {listen!r} is no host:port")
    return parts.hostname, parts.port


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Door(ThreadingHTTPServer):
    """Listens, and hands over what comes; at most so many bodies wait."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, listen: str, token: str | None, largest: int) -> None:
        self.token, self.largest = token, largest
        self.arrived: queue.Queue[Delivered] = queue.Queue(AT_ONCE)
        self._room = threading.BoundedSemaphore(AT_ONCE)
        self.local = is_loopback(address(listen)[0])
        try:
            super().__init__(address(listen), _Request)
        except OSError as error:
            raise ConfigError(f"cannot listen on {listen}: {error.strerror or error}") from error
        threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no matter."""

    def close(self) -> None:
        """Listen no more."""
        self.shutdown()
        self.server_close()


class _Request(BaseHTTPRequestHandler):
    server: Door
    timeout, server_version, sys_version = PATIENCE, "pydatastream", ""

    def do_POST(self) -> None:
        status, told = self._refusal() or self._taken()
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == 503:
            self.send_header("Retry-After", "1")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's
        """The run's own report counts what came."""

    def _refusal(self) -> tuple[int, dict[str, Any]] | None:
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
        if self.headers.get("Origin") or (self.server.local and not is_loopback(host)):
            return 403, {"error": "requests of browsers are not taken"}
        if self.server.token is not None and not self._knows(self.server.token):
            return 401, {"error": "Authorization: Bearer <token>"}
        size = self.headers.get("Content-Length", "")
        if self.headers.get("Content-Encoding") or not size.isdigit():
            return 411, {"error": "a plain body with its Content-Length"}
        if int(size) > self.server.largest:
            return 413, {"error": f"at most {self.server.largest} bytes"}
        return None

    def _knows(self, token: str) -> bool:
        given = self.headers.get("Authorization", "").encode()
        return hmac.compare_digest(given, f"Bearer {token}".encode())

    def _taken(self) -> tuple[int, dict[str, Any]]:
        delivered = Delivered(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            self.server.arrived.put(delivered, timeout=1.0)
        except queue.Full:
            return 503, {"error": "busy"}
        if delivered.safe.wait(PATIENCE):
            return 200, {"status": "safe"}
        return 503, {"error": "not safe yet; it may come twice if it is sent again"}
