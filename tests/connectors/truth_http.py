"""A server of the standard library: it has rows for who asks, and keeps what is posted."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl
from contract_json import JsonRows, columns, read, written
from contract_truth import Fixture, SinkTruth, SourceTruth

from pydatastream.connectors.http import HttpSource
from pydatastream.connectors.http_sink import HttpSink
from pydatastream.formats.json import JsonFormat


class Web(ThreadingHTTPServer):
    """Answers every GET with the same body."""

    def __init__(self) -> None:
        self.body, self.posted = b"", list[bytes]()
        super().__init__(("127.0.0.1", 0), Request)
        self.url = f"http://127.0.0.1:{self.server_port}/rows"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class Request(BaseHTTPRequestHandler):
    server: Web

    def do_GET(self) -> None:
        self._answer(self.server.body)

    def do_POST(self) -> None:
        self.server.posted.append(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


class Hosted(JsonRows):
    longest = 500_000

    def __init__(self, place: Path, fixture: Fixture) -> None:
        super().__init__(place, fixture)
        self.web = Web()

    def close(self) -> None:
        self.web.shutdown()
        self.web.server_close()


class Polled(Hosted, SourceTruth):
    killed = False

    def seed(self, rows: pl.DataFrame) -> pl.DataFrame:
        self.web.body, self.schema = b"".join(line + b"\n" for line in written(rows)), rows.schema
        return rows

    def source(self) -> HttpSource:
        how = {"url": self.web.url, "polls": 1, "format": JsonFormat()}
        return HttpSource.model_validate({**how, "schema": columns(self.schema)})


class Posted(Hosted, SinkTruth):
    def sink(self) -> HttpSink:
        return HttpSink(url=self.web.url, format=JsonFormat())

    def visible(self, schema: pl.Schema) -> pl.DataFrame:
        return read([line for body in self.web.posted for line in body.splitlines()], schema)


SOURCES = [Polled]
SINKS = [Posted]
