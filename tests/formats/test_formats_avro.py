"""Avro: read and written by fastavro on its own; schemas from a registry in this process."""

from __future__ import annotations

import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fastavro
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from pydantic import ValidationError

from pydatastream.core.errors import ConfigError, RetryLater, RowError, SchemaError
from pydatastream.formats.avro import AvroFormat

RECORD = {
    "type": "record",
    "name": "Reading",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "text", "type": ["null", "string"]},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}
OTHER = {
    "type": "record",
    "name": "Reading",
    "fields": [{"name": "id", "type": "int"}, {"name": "more", "type": "string"}],
}
AT = pl.Datetime("us", "UTC")
SCHEMA = pl.Schema({"id": pl.Int64, "text": pl.String, "at": AT})
ROWS = pl.DataFrame({"id": [1, 2], "text": ["é", None], "at": [0, 1000]}).cast({"at": AT})


def written(schema, row):
    target = io.BytesIO()
    fastavro.schemaless_writer(target, fastavro.parse_schema(schema), row)
    return target.getvalue()


def read(schema, message):
    return fastavro.schemaless_reader(io.BytesIO(message), fastavro.parse_schema(schema))


@pytest.fixture
def schema_file(tmp_path):
    path = tmp_path / "reading.avsc"
    path.write_text(json.dumps(RECORD))
    return str(path)


class Schemas(ThreadingHTTPServer):
    """A schema registry, as far as it is asked here."""

    def __init__(self):
        self.asked = []
        self.known = {"/schemas/ids/7": RECORD, "/schemas/ids/8": OTHER}
        super().__init__(("127.0.0.1", 0), Asked)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class Asked(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        found = self.server.known.get(self.path)
        if self.path == "/subjects/readings-value/versions/latest":
            found = RECORD
        body = json.dumps({"id": 7, "schema": json.dumps(found)}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def registry():
    server = Schemas()
    yield server
    server.shutdown()
    server.server_close()


def test_messages_of_a_declared_schema(schema_file):
    form = AvroFormat(schema_file=schema_file)
    assert form.infer(b"") == SCHEMA
    messages = form.encoder(SCHEMA).encode_messages(ROWS)
    assert [read(RECORD, one)["id"] for one in messages] == [1, 2]
    assert_frame_equal(form.decoder(SCHEMA).decode_messages(messages).rows, ROWS)


def test_framed_messages_of_two_schemas_keep_their_order(registry):
    form = AvroFormat(registry=registry.url)
    framed = [b"\0\0\0\0\7" + written(RECORD, row) for row in ROWS.to_dicts()]
    framed.insert(1, b"\0\0\0\0\x08" + written(OTHER, {"id": 5, "more": "x"}))
    decoded = form.decoder(SCHEMA).decode_messages(framed)
    assert decoded.rows["id"].to_list() == [1, 5, 2]
    assert decoded.rows["text"].to_list() == ["é", None, None]
    assert sorted(registry.asked) == ["/schemas/ids/7", "/schemas/ids/8"]
    assert form.infer(framed[0]) == SCHEMA


def test_wrong_framing_and_unknown_numbers_are_dead_letters(registry):
    form = AvroFormat(registry=registry.url)
    good = b"\0\0\0\0\7" + written(RECORD, ROWS.to_dicts()[0])
    bad = [b"", b"\0\0\0", b"\1" + good[1:], b"\0\0\0\0\x63" + good[5:], good[:-1], good + b"x"]
    decoded = form.decoder(SCHEMA).decode_messages([*bad, good, bad[3]])
    assert decoded.rows["id"].to_list() == [1]
    errors = decoded.dead["error"].to_list()
    assert [("not framed" in one) for one in errors] == [True] * 3 + [False] * 4
    assert errors[3] == errors[6] == "the registry has no schema 99"
    assert "1 bytes follow" in errors[5]
    assert registry.asked.count("/schemas/ids/99") == 1


def test_a_schema_of_other_types_gives_dead_letters(registry):
    message = b"\0\0\0\0\x08" + written(OTHER, {"id": 5, "more": "no time"})
    decoded = AvroFormat(registry=registry.url).decoder(pl.Schema({"more": pl.Float64}))
    dead = decoded.decode_messages([message]).dead
    assert dead.height == 1
    assert "more" in dead["error"].item()


def test_what_is_written_is_framed(registry):
    form = AvroFormat(registry=registry.url, subject="readings-value")
    messages = form.encoder(SCHEMA).encode_messages(ROWS)
    assert all(one[:5] == b"\0\0\0\0\7" for one in messages)
    assert read(RECORD, messages[0][5:])["text"] == "é"
    with pytest.raises(SchemaError, match="subject"):
        AvroFormat(registry=registry.url).encoder(SCHEMA)
    with pytest.raises(ConfigError, match="no subject 'none'"):
        AvroFormat(registry=registry.url, subject="none").encoder(SCHEMA).encode_messages(ROWS)


def test_a_registry_that_is_not_there_is_waited_for():
    form = AvroFormat(registry="http://127.0.0.1:1")
    with pytest.raises(RetryLater, match=r"127\.0\.0\.1:1"):
        form.decoder(SCHEMA).decode_messages([b"\0\0\0\0\7abc"])


def test_a_row_that_does_not_fit_is_named(schema_file):
    rows = pl.DataFrame({"id": [1, None], "text": ["a", "b"], "at": ROWS["at"]})
    with pytest.raises(RowError, match="does not fit") as caught:
        AvroFormat(schema_file=schema_file).encoder(SCHEMA).encode_messages(rows)
    assert list(caught.value.rows) == [1]


def test_files_are_read_and_written_by_others(tmp_path):
    path = tmp_path / "x.avro"
    with path.open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema(RECORD), ROWS.to_dicts(), codec="deflate")
    form = AvroFormat()
    assert form.infer_file(path) == SCHEMA
    assert_frame_equal(pl.concat(form.groups(path, SCHEMA, 0)), ROWS)
    with path.open("wb") as file:
        encoder = form.write_file(file, SCHEMA)
        encoder.write(ROWS)
        encoder.close()
    with path.open("rb") as file:
        assert list(fastavro.reader(file)) == ROWS.to_dicts()


def test_another_codec_is_named(tmp_path):
    path = tmp_path / "x.avro"
    with path.open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema(RECORD), [], codec="bzip2")
    with pytest.raises(ConfigError, match="bzip2"):
        AvroFormat().infer_file(path)


@pytest.mark.parametrize(
    "kind", [["int", "string"], {"type": "map", "values": "int"}, "Reading", 7, ["int", 3]]
)
def test_types_that_no_column_holds_are_named(kind, tmp_path):
    path = tmp_path / "x.avsc"
    record = {"type": "record", "name": "Reading", "fields": [{"name": "odd", "type": kind}]}
    path.write_text(json.dumps(record))
    with pytest.raises(SchemaError, match="odd"):
        AvroFormat(schema_file=str(path)).infer(b"")


def test_options_that_do_not_fit_are_refused(tmp_path):
    for options in ({"subject": "x"}, {"schema_file": "x", "registry": "http://x"}):
        with pytest.raises(ValidationError):
            AvroFormat(**options)
    with pytest.raises(ConfigError, match="schema_file"):
        AvroFormat(schema_file=str(tmp_path / "none")).infer(b"")
