"""Prometheus metrics of a run, over HTTP on loopback."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pydatastream.core.errors import ConfigError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
HELP = {
    "rows_in": "Rows read from sources.",
    "rows_out": "Rows handed to outputs.",
    "filtered": "Rows dropped by steps.",
    "late": "Rows that came after their window had closed.",
    "dead": "Rows set aside as dead letters.",
    "aggregated": "Rows that went out inside windows.",
    "forgotten": "Keys forgotten by steps because there were too many.",
    "epochs": "Epochs published.",
}
GAUGES = {"state_bytes": "Bytes of state.", "memory_bytes": "Peak memory of the process."}


def exposition(pipeline: str, counts: dict[str, object]) -> str:
    """The counts in the Prometheus text format, version 0.0.4."""
    label = '{pipeline="' + pipeline.replace("\\", r"\\").replace('"', r"\"") + '"}'
    lines = []
    for kind, known in (("counter", HELP), ("gauge", GAUGES)):
        for name, text in known.items():
            full = f"pds_{name}_total" if kind == "counter" else f"pds_{name}"
            lines += [f"# HELP {full} {text}", f"# TYPE {full} {kind}"]
            lines.append(f"{full}{label} {counts[name]}")
    return "\n".join(lines) + "\n"


def address(text: str) -> tuple[str, int]:
    """Host and port of ":9090", "9090" or "127.0.0.1:9090"; only loopback is served."""
    host, _, port = text.rpartition(":")
    if not port.isdigit():
        raise ConfigError(f"{text!r} is no address", hint="a port, such as :9090")
    if (host or LOOPBACK[0]) not in LOOPBACK:
        raise ConfigError(
            f"metrics are served on loopback only, not on {host}",
            hint="let a collector on this machine, or a proxy with a password, ask 127.0.0.1",
        )
    return host or LOOPBACK[0], int(port)


@contextmanager
def served(where: str, pipeline: str, counts: Callable[[], dict[str, object]]) -> Iterator[int]:
    """Serve /metrics while the body runs; gives the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/metrics"
            body = exposition(pipeline, counts()).encode() if found else b"see /metrics\n"
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Requests are not logged."""

    server = ThreadingHTTPServer(address(where), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
