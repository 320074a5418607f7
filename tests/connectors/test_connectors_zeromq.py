"""ZeroMQ source and sink against sockets of pyzmq itself, as a user would write them."""

import json
import logging
import os
import subprocess
import sys
import time

import polars as pl
import pytest
import zmq
from polars.testing import assert_frame_equal

from pydatastream.connectors.zeromq import ZeromqSource
from pydatastream.connectors.zeromq_sink import ZeromqSink
from pydatastream.core.errors import ConfigError, RetryLater, SchemaError
from pydatastream.core.sink import Write
from pydatastream.core.source import Read
from pydatastream.formats.json import JsonFormat
from pydatastream.formats.text import TextFormat
from pydatastream.parts.zeromq.place import Curve, hang_up
from pydatastream.parts.zeromq.stamps import Gaps
from pydatastream.planning.ingest import formatted
from services.server import free_port

ID = {"id": "int"}
ROWS = pl.DataFrame({"id": range(100)})


@pytest.fixture
def address():
    return f"tcp://127.0.0.1:{free_port()}"


@pytest.fixture
def socket(address):
    """A socket of the other side: `socket(kind)` is bound to the address."""
    made = []

    def make(kind, *, binds=True, curve=None):
        made.append(one := zmq.Context.instance().socket(kind))
        one.linger = 0
        if curve:
            one.curve_publickey, one.curve_secretkey = curve
            one.curve_server = True
        (one.bind if binds else one.connect)(address)
        return one

    yield make
    for one in made:
        one.close()


def source(address, **options):
    return formatted(ZeromqSource(address=address, **{"schema": ID, **options}))


def opened(one, **job):
    return one.open("messages", Read(one.declared(), **job))


def took(reader, count, send=None):
    """Batches with so many rows; `send` is called until the first one comes."""
    found, end = [], time.monotonic() + 20
    for batch in reader:
        if batch:
            found.append(batch)
        elif send and not found:
            send()
        if sum(one.rows.height + one.dead.height for one in found) >= count:
            return found
        assert time.monotonic() < end, "the messages do not come"
    return found


def rows(batches):
    return pl.concat([one.rows for one in batches])


def encoded(n):
    return json.dumps({"id": n}).encode()


FRAMES = {
    "one frame": ("", [encoded(1)]),
    "topic in a frame": ("sensor:", [b"sensor:heat", encoded(1)]),
    "topic, payload": ("sensor:", [b"sensor:heat, " + encoded(1)]),
    "topic payload": ("sensor:heat", [b"sensor:heat " + encoded(1)]),
    "topic,payload": ("sensor:heat", [b"sensor:heat," + encoded(1)]),
    "topic and stamp": ("sensor:heat", [b"sensor:heat", encoded(1), b"p/out 1 0"]),
}


@pytest.mark.parametrize("how", FRAMES)
def test_the_topic_stands_in_a_frame_or_before_the_payload(address, socket, how):
    topic, frames = FRAMES[how]
    pub = socket(zmq.PUB)
    reader = opened(source(address, topic=topic))
    (batch, *_) = took(reader, 1, lambda: pub.send_multipart(frames))
    reader.close()
    assert batch.rows["id"][0] == 1
    assert not batch.dead.height


def test_the_promised_text_form_is_read(address, socket):
    pub = socket(zmq.PUB)
    one = source(
        address, topic="sensor:temperature", format=TextFormat(), schema={"line": "string"}
    )
    reader = opened(one)
    text = b"sensor:temperature, message:data-7"
    (batch, *_) = took(reader, 1, lambda: pub.send(text))
    reader.close()
    assert batch.rows["line"][0] == "message:data-7"


def test_other_topics_are_not_heard_and_the_topic_can_be_a_column(address, socket):
    pub = socket(zmq.PUB)
    reader = opened(source(address, topic="a", topic_column="where"))

    def send():
        for topic in (b"b", b"a1", b"a2"):
            pub.send_multipart([topic, encoded(1)])
        pub.send(b"a3, " + encoded(1))

    found = rows(took(reader, 3, send))
    reader.close()
    assert set(found["where"]) <= {"a1", "a2", "a3"}
    assert found.columns == ["where", "id"] or found.columns == ["id", "where"]


def test_all_that_is_pushed_comes_in_order(address, socket):
    push = socket(zmq.PUSH)
    reader = opened(source(address, socket="pull"), rows=7)
    for n in range(100):
        push.send(encoded(n))
    batches = took(reader, 100)
    reader.close()
    assert rows(batches)["id"].to_list() == list(range(100))
    assert max(one.rows.height for one in batches) <= 7
    assert batches[-1].offset == {"n": 100}


def sent_as(how, n):
    """Message n in one of the forms that a sender may choose."""
    payload, topic = encoded(n), b"heat%d" % (n % 3)
    return {
        "alone": [payload],
        "before": [topic + b" " + payload],
        "framed": [topic, payload],
        "stamped": [topic, payload, b"p/out 1 %d" % n],
    }[how]


@pytest.mark.parametrize(
    "forms",
    [["framed"], ["before"], ["stamped"], ["before", "framed"], ["before", "stamped"]],
    ids="-".join,
)
def test_senders_may_choose_how_they_send(address, socket, forms):
    push = socket(zmq.PUSH)
    reader = opened(source(address, socket="pull", topic="heat"), rows=50)
    for n in range(600):
        push.send_multipart(sent_as(forms[n % 7 % len(forms)], n))
    batches = took(reader, 600)
    reader.close()
    assert rows(batches)["id"].to_list() == list(range(600))


@pytest.mark.parametrize("other", ["alone", "stamped"])
def test_a_topic_sent_in_two_ways_loses_no_row(address, socket, other):
    push = socket(zmq.PUSH)
    reader = opened(source(address, socket="pull", topic="heat"), rows=50)
    for n in range(300):
        push.send_multipart(sent_as("framed" if n < 100 or n % 2 else other, n))
    batches = took(reader, 300)
    if missing := 300 - rows(batches).height:
        batches += took(reader, missing)
    dead = sum(one.dead.height for one in batches)
    reader.close()
    assert rows(batches)["id"].to_list() == list(range(300))
    assert dead <= 1


def test_a_source_may_bind_and_hear_many(address, socket):
    reader = opened(source(address, socket="pull", bind=True))
    for n in range(3):
        socket(zmq.PUSH, binds=False).send(encoded(n))
    found = rows(took(reader, 3))
    reader.close()
    reader.close()
    assert sorted(found["id"]) == [0, 1, 2]


def test_what_cannot_be_read_is_a_dead_letter(address, socket):
    push = socket(zmq.PUSH)
    reader = opened(source(address, socket="pull"))
    for payload in (encoded(1), b"\xff\xfe", b"", encoded(4)):
        push.send(payload)
    batches = took(reader, 4)
    reader.close()
    assert rows(batches)["id"].to_list() == [1, 4]
    dead = pl.concat([one.dead for one in batches])
    assert dead["encoding"].to_list()[0] == "base64"
    assert dead["error"].str.starts_with("message ").all()


def written(address, kind, given, **options):
    """A sink that is open for rows like these."""
    one = formatted(ZeromqSink(address=address, socket=kind, **options))
    one.accepts(given.schema)
    return one.open(Write(given.schema, "rooms", "out"))


def test_rows_are_messages_with_topic_and_stamp(address, socket):
    writer = written(address, "push", ROWS, topic="hot")
    pull = socket(zmq.PULL, binds=False)
    for epoch in (1, 2):
        writer.begin(epoch)
        writer.write(ROWS[:2])
        writer.publish(epoch)
    assert writer.published() is None
    found = [pull.recv_multipart() for _ in range(4)]
    writer.close()
    writer.close()
    assert found[0] == [b"hot", b'{"id":0}', b"rooms/out 1 0"]
    assert found[3] == [b"hot", b'{"id":1}', b"rooms/out 2 1"]


def test_without_topic_and_stamp_a_message_is_one_frame(address, socket):
    writer = written(address, "push", ROWS, stamp=False)
    pull = socket(zmq.PULL, binds=False)
    writer.begin(1)
    writer.write(ROWS[:1])
    assert pull.recv_multipart() == [b'{"id":0}']
    writer.close()


def test_our_sink_and_our_source_understand_each_other(address):
    keys, theirs = zmq.curve_keypair(), zmq.curve_keypair()
    sink_keys = Curve(public=keys[0].decode(), secret=keys[1].decode())
    our_keys = Curve(public=theirs[0].decode(), secret=theirs[1].decode(), server=keys[0].decode())
    writer = written(address, "push", ROWS, topic="hot", curve=sink_keys)
    reader = opened(source(address, socket="pull", curve=our_keys))
    writer.begin(1)
    writer.write(ROWS)
    found = rows(took(reader, 100))
    reader.close()
    writer.close()
    assert_frame_equal(found, ROWS)


def test_keys_that_do_not_fit_are_said_to(address, socket):
    server, other, ours = (zmq.curve_keypair() for _ in range(3))
    socket(zmq.PUB, curve=server)
    public, secret = (key.decode() for key in ours)
    one = source(address, curve=Curve(public=public, secret=secret, server=other[0].decode()))
    with pytest.raises(ConfigError, match="the keys do not fit"):
        one.check()
    reader = opened(one)
    with pytest.raises(ConfigError, match="the keys do not fit"):
        took(reader, 1)
    reader.close()
    assert secret not in repr(one) + str(one.options())


def test_checking_sees_whether_somebody_is_there(address, socket):
    with pytest.raises(RetryLater, match="nobody answers"):
        source(address).check()
    socket(zmq.PUB)
    source(address).check()


def test_a_taken_port_and_a_wrong_address_are_refused(address, socket):
    socket(zmq.PULL)
    with pytest.raises(ConfigError, match="cannot use tcp://127"):
        written(address, "push", ROWS)
    with pytest.raises(ConfigError, match="cannot use nonsense"):
        source("nonsense").check()
    with pytest.raises(ValueError, match="`address` is needed"):
        ZeromqSource()


@pytest.mark.parametrize(
    ("stamps", "lost", "repeated"),
    [
        (["1 0", "1 1", "1 2"], 0, 0),
        (["1 7", "1 8"], 0, 0),
        (["1 0", "1 3", "1 4"], 2, 0),
        (["1 0", "2 2"], 2, 0),
        (["1 0", "1 1", "1 0", "1 1", "1 2"], 0, 2),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 9])
def test_gaps_between_stamps_are_counted(caplog, stamps, lost, repeated, size):
    messages, gaps = [[b"t", b"x", b"p/out " + one.encode()] for one in stamps], Gaps()
    with caplog.at_level(logging.WARNING):
        for at in range(0, len(messages), size):
            gaps.look(messages[at : at + size])
    assert (gaps.lost, gaps.repeated) == (lost, repeated)
    assert bool(caplog.records) == bool(lost or repeated)


def test_what_was_received_before_a_crash_is_in_the_spool(address, socket, tmp_path):
    text = f"""
name: keep
source: {{type: zeromq, address: "{address}", socket: pull, bind: true, schema: {{id: int}}}}
output: {{type: file, path: out/, format: json}}
checkpoint: {{path: checkpoint, interval: 50ms}}
"""
    (tmp_path / "p.yaml").write_text(text)
    command = [sys.executable, "-m", "pydatastream", "run", "p.yaml", "-q"]
    push = socket(zmq.PUSH, binds=False)

    def found():
        parts = sorted((tmp_path / "out").glob("part-*"))
        return [json.loads(line)["id"] for one in parts for line in one.read_text().splitlines()]

    for n in range(50):
        push.send(encoded(n))
    dying = {**os.environ, "PDS_FAULT": "spool.synced:kill"}
    assert subprocess.run(command, cwd=tmp_path, env=dying, timeout=60).returncode == -9
    assert not found()
    process, end = subprocess.Popen(command, cwd=tmp_path), time.monotonic() + 30
    while not found() and time.monotonic() < end:
        time.sleep(0.02)
    process.terminate()
    assert process.wait(20) == 0
    assert found()
    assert found() == list(range(len(found())))


def test_columns_are_told_from_the_first_messages_which_are_not_lost(address, socket):
    publisher = socket(zmq.PUB)
    one = source(address, topic="t", schema=None)
    with pytest.raises(RetryLater, match="no message has come yet.*\n  try: start who sends"):
        one.infer()  # it goes on listening: what comes from now on is seen
    for n in range(3):
        publisher.send_multipart([b"t", b'{"n": %d, "x": 1.5}' % n])
    assert one.infer() == {"n": pl.Int64(), "x": pl.Float64()}
    reader = one.open("messages", Read(pl.Schema({"n": pl.Int64()})))
    publisher.send_multipart([b"t", b'{"n": 3, "x": 1.5}'])
    found, batches = [], iter(reader)
    while len(found) < 4:
        batch = next(batches)
        found += batch.rows["n"].to_list() if batch else []
    assert found == [0, 1, 2, 3]
    reader.close()


def test_what_is_pulled_is_not_looked_at(address, socket):
    with pytest.raises(SchemaError, match="needs a `schema:` to pull"):
        source(address, socket="pull", schema=None).infer()
    push = socket(zmq.PUSH)
    one = source(address, socket="pull")
    one.check()
    with pytest.raises(zmq.Again):  # nobody pulls: the check has taken nothing upon itself
        push.send(b'{"id":0}', zmq.NOBLOCK)
    socket(zmq.PULL, binds=False)
    push.send(b'{"id":0}')


def test_a_monitor_that_is_not_yet_gone_is_not_met():
    """Closing takes a moment, and the usual names are those of descriptors, which come again."""
    with zmq.Context.instance().socket(zmq.PAIR) as other:
        for number in range(1000):
            other.bind(f"inproc://monitor.s-{number}")
        sink = ZeromqSink(address="inproc://anywhere", bind=False, format=JsonFormat())
        hang_up(*sink.socket("pub", binds=False))
