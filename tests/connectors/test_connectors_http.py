"""HTTP against a real server in this process, and curl against ours."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import polars as pl
import pytest
from pydantic import ValidationError
from remote_runs import each_once, finished, ids, pipeline, ran, started, write_rows

from pydatastream.connectors.http import HttpSource
from pydatastream.connectors.http_sink import HttpSink
from pydatastream.core.errors import ConfigError, RetryLater, RowError, StopError
from pydatastream.core.sink import Write
from pydatastream.core.source import Read
from pydatastream.formats.json import JsonFormat
from services.server import free_port

TOKEN = {"token": "t0ken"}
SECRETS = {"secret": "s3cret", **TOKEN}
SCHEMA = pl.Schema({"id": pl.Int64, "text": pl.String})
ROWS_OF = pl.DataFrame({"id": range(5), "text": ["a", None, "é", "", "x"]}, schema=SCHEMA)


class Hook(ThreadingHTTPServer):
    """Keeps every request, and answers what `answer` says."""

    def __init__(self):
        self.requests, self.answer = [], lambda request: (200, {}, b"")
        super().__init__(("127.0.0.1", 0), Heard)
        self.url = f"http://127.0.0.1:{self.server_port}/hook?x=1"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def bodies(self):
        return [one["body"] for one in self.requests if one["method"] == "POST"]


class Heard(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = {"method": self.command, "path": self.path, "body": body.decode()}
        request["headers"] = dict(self.headers)
        status, headers, answer = self.server.answer(request)
        if status < 300:
            self.server.requests.append(request)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(answer))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_OPTIONS = _any  # noqa: N815 - names the standard library calls

    def log_message(self, *args):
        pass


@pytest.fixture
def hook():
    server = Hook()
    yield server
    server.shutdown()
    server.server_close()


def writer(hook, **options):
    sink = HttpSink(url=hook.url, format=JsonFormat(), **options)
    return sink.open(Write(SCHEMA, "p", "out", durable=True))


def test_rows_are_posted_signed_and_named(hook):
    one = writer(hook, batch=2, headers={"X-More": "1"}, **SECRETS)
    one.begin(7)
    one.write(ROWS_OF)
    one.publish(7)
    one.close()
    assert [body.count("\n") for body in hook.bodies()] == [2, 2, 1]
    assert ids(hook.bodies()) == each_once(5)
    for number, request in enumerate(hook.requests):
        headers = request["headers"]
        sign = hmac.new(b"s3cret", request["body"].encode(), hashlib.sha256).hexdigest()
        assert headers["X-Pds-Signature"] == f"sha256={sign}"
        assert headers["Idempotency-Key"].startswith(f"p-out-7-{number}-")
        assert headers["Authorization"] == "Bearer t0ken"
        assert headers["X-More"] == "1"
        assert request["path"] == "/hook?x=1"


def test_a_json_array_may_be_sent(hook):
    one = writer(hook, array=True)
    one.begin(1)
    one.write(ROWS_OF)
    assert [row["id"] for row in json.loads(hook.bodies()[0])] == list(range(5))
    assert hook.requests[0]["headers"]["Content-Type"] == "application/json"


def test_only_the_rows_of_a_refused_post_are_refused(hook):
    hook.answer = lambda request: (422 if '"id":2' in request["body"] else 200, {}, b"bad id")
    one = writer(hook, batch=2)
    one.begin(1)
    with pytest.raises(RowError, match="422: bad id") as caught:
        one.write(ROWS_OF)
    assert list(caught.value.rows) == [2, 3]
    one.write(ROWS_OF[[0, 1, 4]])  # as the engine does next; they are there already
    assert sorted(ids(hook.bodies()).items()) == [(0, 1), (1, 1), (4, 1)]
    one.write(ROWS_OF.head(1))
    assert ids(hook.bodies())[0] == 2


def test_a_busy_server_says_how_long_to_wait(hook):
    hook.answer = lambda request: (503, {"Retry-After": "7"}, b"busy")
    one = writer(hook)
    one.begin(1)
    with pytest.raises(RetryLater, match="503") as caught:
        one.write(ROWS_OF)
    assert caught.value.after == 7.0


@pytest.mark.parametrize("status", [301, 401, 403, 404, 405])
def test_what_is_wrong_with_the_request_stops(hook, status):
    hook.answer = lambda request: (status, {}, b"no")
    one = writer(hook)
    one.begin(1)
    with pytest.raises((ConfigError, StopError), match=str(status)):
        one.write(ROWS_OF)


def test_a_server_that_is_not_there_is_waited_for():
    port = free_port()
    for one in (HttpSink, HttpSource):
        with pytest.raises(RetryLater, match=f"127.0.0.1:{port}"):
            one(url=f"http://127.0.0.1:{port}/", format=JsonFormat()).check()


def test_a_connection_that_was_closed_while_idle_is_opened_again(hook):
    one = writer(hook)
    one.begin(1)
    one.write(ROWS_OF)
    one._web._line.sock.shutdown(2)
    one.write(ROWS_OF)
    assert ids(hook.bodies())[0] == 2


def test_to_a_hook_through_refusals_nothing_is_lost(hook, tmp_path):
    write_rows(tmp_path / "in.jsonl", 300)
    tries = iter(range(1000))

    def answer(request):
        if '"id":77,' in request["body"]:
            return 400, {}, b"not this one"
        return (503, {}, b"") if next(tries) % 3 == 0 else (200, {}, b"")

    hook.answer = answer
    output = f'{{type: http, url: "{hook.url}", batch: 10, format: json}}'
    source = "{type: file, path: in.jsonl, format: json}"
    dead = "on_error: {policy: dead_letter, output: {type: file, path: dead/, format: json}}\n"
    path = pipeline(tmp_path, source, output, dead, rows=50)
    assert ran(path, "epoch.published:kill:2") == -9
    finished(path)
    found = set(ids(hook.bodies()))
    letters = [file.read_text() for file in (tmp_path / "dead").glob("part-*")]
    lines = [json.loads(line) for text in letters for line in text.splitlines()]
    dead_ids = {json.loads(one["payload"])["id"] for one in lines}
    assert 77 in dead_ids
    assert len(dead_ids) <= 10
    assert found | dead_ids == set(range(300))
    keys = {}
    for request in hook.requests:
        keys.setdefault(request["headers"]["Idempotency-Key"], set()).add(request["body"])
    assert all(len(bodies) == 1 for bodies in keys.values())


def polled(source, count):
    found = []
    for batch in source.open("http", Read(SCHEMA)):
        if batch is not None:
            found.append(batch)
        if len(found) == count:
            break
    return found


def test_polling_goes_on_after_the_cursor(hook):
    def answer(request):
        at = int(request["path"].partition("since=")[2] or -1)
        rows = [{"id": n, "text": "x"} for n in range(at + 1, min(at + 3, 6))]
        return 200, {}, json.dumps(rows).encode()

    hook.answer = answer
    source = HttpSource(url=hook.url, every="10ms", cursor="id", format=JsonFormat())
    found = polled(source, 3)
    assert [one.rows["id"].to_list() for one in found] == [[0, 1], [2, 3], [4, 5]]
    again = source.open("http", Read(SCHEMA, spooled=[found[0].offset]))
    assert next(iter(again)).rows["id"].to_list() == [2, 3]


def test_an_answer_that_did_not_change_gives_nothing(hook):
    def answer(request):
        if request["headers"].get("If-None-Match") == '"v1"':
            return 304, {}, b""
        return 200, {"ETag": '"v1"'}, b'{"id": 1}\n{oops\n{"id": 2}\n'

    hook.answer = answer
    source = HttpSource(url=hook.url, every="1ms", polls=5, format=JsonFormat())
    (batch,) = polled(source, 9)
    assert batch.rows["id"].to_list() == [1, 2]
    assert batch.dead["payload"].to_list() == ["{oops"]
    assert source.infer() == {"id": pl.Int64}


def test_a_poll_that_is_refused_says_what_to_check(hook):
    hook.answer = lambda request: (401, {}, b"who are you")
    with pytest.raises(ConfigError, match=r"401: who are you(.|\n)*`token`"):
        HttpSource(url=hook.url, format=JsonFormat()).check()
    hook.answer = lambda request: (500, {}, b"")
    with pytest.raises(RetryLater):
        HttpSource(url=hook.url, format=JsonFormat()).check()


def test_options_that_do_not_fit_are_refused():
    wrong = [{}, {"url": "http://x", "listen": "127.0.0.1:1"}, {"listen": "0.0.0.0:1"}]
    wrong += [{"listen": "nowhere"}, {"url": "file:///etc/passwd"}, {"listen": "10.0.0.1:80"}]
    for options in wrong:
        with pytest.raises(ValidationError):
            HttpSource(**options)
    HttpSource(listen="0.0.0.0:1", **TOKEN)


def curl(port, body, *options):
    given = ["curl", "-s", "-o", "-", "-w", " %{http_code}", "--data-binary", "@-", *options]
    done = subprocess.run(
        [*given, f"http://127.0.0.1:{port}/in"], input=body, capture_output=True, timeout=60
    )
    return done.stdout.decode()


@pytest.fixture
def listening():
    """A reader that listens, and is read by a thread of its own."""
    readers, over = [], threading.Event()

    def start(safe=True, **options):
        port = free_port()
        source = HttpSource(listen=f"127.0.0.1:{port}", format=JsonFormat(), **options)
        reader, found = source.open("http", Read(SCHEMA)), []
        readers.append(reader)

        def read():
            for batch in reader:
                if over.is_set():
                    return
                if batch is not None:
                    found.append(batch)
                    if safe:
                        reader.commit(batch.offset)

        threading.Thread(target=read, daemon=True).start()
        return port, found

    yield start
    over.set()
    for reader in readers:
        reader.close()
        reader.close()


def test_what_is_posted_is_read(listening):
    port, found = listening(**TOKEN)
    token = ("-H", "Authorization: Bearer t0ken")
    assert curl(port, b'{"id": 1}\n{"id": 2}', *token).endswith(" 200")
    assert curl(port, b'[{"id": 3}, 4]', *token).endswith(" 200")
    assert [n for one in found for n in one.rows["id"]] == [1, 2, 3]
    assert [one for batch in found for one in batch.dead["payload"]] == ["4"]


def test_who_may_not_post_is_refused(listening):
    port, found = listening(**TOKEN, max_body=100)
    token = ("-H", "Authorization: Bearer t0ken")
    assert curl(port, b"{}").endswith(" 401")
    assert curl(port, b"{}", "-H", "Authorization: Bearer t0kem").endswith(" 401")
    assert curl(port, b"{}", *token, "-H", "Origin: http://evil.example").endswith(" 403")
    assert curl(port, b"{}", *token, "-H", "Host: evil.example").endswith(" 403")
    assert curl(port, b"x" * 200, *token).endswith(" 413")
    assert curl(port, b"{}", *token, "-H", "Content-Encoding: gzip").endswith(" 411")
    assert not found


def test_a_request_is_answered_when_it_is_safe(listening, monkeypatch):
    monkeypatch.setattr("pydatastream.parts.web.door.PATIENCE", 0.3)
    port, found = listening(safe=False)
    assert curl(port, b'{"id": 1}').endswith(" 503")
    assert len(found) == 1


def test_a_port_that_is_taken_is_said(listening):
    port, _ = listening()
    with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}"):
        HttpSource(listen=f"127.0.0.1:{port}", format=JsonFormat()).check()


def test_what_was_answered_survives_a_kill(tmp_path):
    port = free_port()
    source = f'{{type: http, listen: "127.0.0.1:{port}", format: json, schema: {{id: int}}}}'
    path = pipeline(tmp_path, source, "{type: file, path: out/, format: json}")
    process = started(path)
    end = time.monotonic() + 30
    answered = 0
    while answered < 20 and time.monotonic() < end:
        if curl(port, b'{"id": %d}' % answered).endswith(" 200"):
            answered += 1
    process.kill()
    process.communicate()
    process = started(path)
    while time.monotonic() < end + 30:
        found = ids([file.read_text() for file in (tmp_path / "out").glob("part-*")])
        if len(found) == 20:
            break
        time.sleep(0.1)
    process.terminate()
    process.communicate(timeout=30)
    assert set(found) == set(range(20))
