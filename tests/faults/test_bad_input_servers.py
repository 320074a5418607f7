"""Bad input from servers, and rows that servers refuse, through a pipeline with a checkpoint.

Each bad row becomes a dead letter and its neighbours live, or the run stops and says what to do.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fastavro
import pytest
from fault_pairs import EXPECTED, Made, go_on, halted
from fault_runs import Children, read
from truth_file import Json, JsonParts
from truth_kafka import Topic
from truth_mongodb import Inserted
from truth_redis import Fields
from truth_s3 import Objects
from truth_sql import Copied

from pydatastream.connectors.kafka import KafkaSource
from pydatastream.formats.avro import AvroFormat

DEAD = {"policy": "dead_letter", "output": {"type": "file", "path": "dead/", "format": "json"}}
SETS_ASIDE = {"more": {"on_error": DEAD}}


def letters(children: Children, place: Path) -> list[dict[str, Any]]:
    """The dead letters of a run that ends well."""
    code = children.wait(children.start(place))
    assert code == 0, (place / "stderr.txt").read_text()
    return list(read(place / "dead"))


def test_messages_that_are_no_rows(made: Made, children: Children, shm: Path) -> None:
    pair = made(Topic, JsonParts, **SETS_ASIDE)
    place = pair.prepare(shm / "bad")
    source = pair.ends[place].source
    source.topics.put(source.topic, [b"\xff{", None, b'{"id": 1', b"[" * 400_000])
    found = letters(children, place)
    assert pair.found(place) == EXPECTED
    assert len(found) == 3, "a tombstone is no row unless `tombstones` says so"
    assert ["offset 180: " in found[0]["error"], found[0]["payload"]] == [True, "/3s="]
    assert found[1]["payload"] == '{"id": 1'
    assert "400000 bytes, sha256" in found[2]["error"]
    assert len(found[2]["payload"]) < 100_000


class Schemas(BaseHTTPRequestHandler):
    """A schema registry that knows number 7."""

    known = json.dumps({"type": "record", "name": "R", "fields": [{"name": "id", "type": "long"}]})

    def do_GET(self) -> None:
        body = json.dumps({"schema": self.known}).encode()
        self.send_response(200 if self.path == "/schemas/ids/7" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def registry() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Schemas)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def framed(number: int) -> bytes:
    body = io.BytesIO()
    fastavro.schemaless_writer(body, json.loads(Schemas.known), {"id": number})
    return b"\0\0\0\0\7" + body.getvalue()


class Framed(Topic):
    """Avro as Confluent frames it."""

    url = ""

    def seed(self, rows: Any) -> Any:
        self.topic = self.topics.new()
        return rows

    def source(self) -> KafkaSource:
        given = {"stop": "latest", "schema": {"id": "int"}}
        form = AvroFormat(registry=self.url)
        return self.topics.source(self.topic, **given).model_copy(update={"format": form})


def test_framing_that_is_wrong(
    made: Made, children: Children, shm: Path, registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Framed, "url", registry)
    pair = made(Framed, JsonParts, **SETS_ASIDE)
    place = pair.prepare(shm / "bad")
    source, good = pair.ends[place].source, framed(300)
    bad = [b"", b"\0\0\0", b"\1" + good[1:], b"\0\0\0\0\x63" + good[5:], good[:-1], good + b"x"]
    source.topics.put(source.topic, [framed(1), *bad, framed(2)])
    found = [one["error"] for one in letters(children, place)]
    assert sorted(row["id"] for row in read(place / "to" / "out")) == [1, 2]
    assert sum("is not framed" in one for one in found) == 3
    assert sum("the registry has no schema 99" in one for one in found) == 1
    assert len(found) == len(bad)


def test_a_field_that_is_no_text(made: Made, children: Children, shm: Path) -> None:
    pair = made(Fields, JsonParts, **SETS_ASIDE)
    place = pair.prepare(shm / "bad")
    pair.ends[place].source.put({"id": 1, "a_string": b"\xff"})
    (letter,) = letters(children, place)
    assert pair.found(place) == EXPECTED
    assert "not UTF-8" in letter["error"]


def once_only(sink: Any) -> None:
    sink.run("rows.create_index('id', unique=True); rows.insert_one({'id': 4, 'a_string': ''})")


def never_four(sink: Any) -> None:
    sink.psql("create table readings (id bigint check (id <> 4), a_string text)")


@pytest.mark.parametrize(("sink", "refuses"), [(Inserted, once_only), (Copied, never_four)])
def test_a_row_that_the_server_refuses(
    sink: type[Any], refuses: Callable[[Any], None], made: Made, children: Children, shm: Path
) -> None:
    pair = made(Json, sink, **SETS_ASIDE)
    place = pair.prepare(shm / "bad")
    refuses(pair.ends[place].sink)
    (letter,) = letters(children, place)
    assert json.loads(letter["payload"]) == {"id": 4, "a_string": "text 4 é"}
    found = {number for number, text in pair.found(place) if text}
    assert found == {number for number, _ in EXPECTED} - {4}


def test_a_table_that_lacks_a_column_is_refused(made: Made, children: Children, shm: Path) -> None:
    pair = made(Json, Copied, **SETS_ASIDE)
    place = pair.prepare(shm / "bad")
    pair.ends[place].sink.psql("create table readings (id bigint)")
    assert children.wait(children.start(place)) == 2
    assert "no column 'a_string'" in (place / "stderr.txt").read_text()


def test_rows_that_fit_into_no_column_of_the_table(
    made: Made, children: Children, shm: Path
) -> None:
    pair = made(Json, Copied, **SETS_ASIDE)
    place = pair.prepare(shm / "bad")
    pair.ends[place].sink.psql("create table readings (id bigint, a_string date)")
    found = letters(children, place)
    assert len(found) == EXPECTED.total()
    assert all("type date" in one["error"] for one in found), found[0]["error"]


def test_an_object_that_vanishes_while_it_is_read(
    made: Made, children: Children, shm: Path
) -> None:
    """The run stops and names it: what is gone is for a person to bring back."""
    pair = made(Objects, JsonParts)
    place = pair.prepare(shm / "bad")
    pid = children.start(place, fault="epoch.ingested:kill:1", halts=True)
    halted(pid)
    source = pair.ends[place].source
    for key in source.keys():  # noqa: SIM118 - those of a bucket
        source.client.delete_object(Bucket=source.name, Key=key)
    go_on(pid)
    code, told = children.wait(pid), (place / "stderr.txt").read_text()
    assert code == 1, told
    assert ".jsonl" in told
    assert "try: " in told
    assert not pair.found(place) - EXPECTED
