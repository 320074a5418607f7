"""MQTT source and sink against Mosquitto, with its own clients at the other end."""

import json
import subprocess
import sys
import time
from collections import Counter

import polars as pl
import pytest

from pydatastream.connectors.mqtt import MqttSource
from pydatastream.connectors.mqtt_sink import MqttSink
from pydatastream.core.errors import ConfigError, RetryLater
from pydatastream.core.sink import Delivery, Write
from pydatastream.core.source import Read
from pydatastream.planning.ingest import formatted
from services.mqtt import Mqtt
from services.server import folder, free_port

ID = {"id": "int"}
VERSIONS = ["5", "3.1.1"]


def place(server):
    return {"host": "127.0.0.1", "port": server.port}


def source(server, topic, **options):
    options = {"client_id": topic.replace("/", "-"), "schema": ID, **options}
    return formatted(MqttSource(topic=topic, **place(server), **options))


def opened(one):
    return one.open(one.topic, Read(one.declared()))


def took(reader, count):
    found, end = [], time.monotonic() + 20
    for batch in reader:
        found += [batch] if batch else []
        if sum(one.rows.height + one.dead.height for one in found) >= count:
            return found
        assert time.monotonic() < end, "the messages do not come"
    return found


def ids(batches):
    return [n for one in batches for n in one.rows["id"]]


def send(server, topic, first, count):
    where = ["-h", "127.0.0.1", "-p", str(server.port), "-t", topic, "-q", "1", "-l"]
    lines = "".join(json.dumps({"id": n}) + "\n" for n in range(first, first + count))
    subprocess.run(["mosquitto_pub", *where], input=lines.encode(), check=True)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_messages_are_rows(mqtt_server, version, qos):
    topic = f"rows/{version}/{qos}"
    reader = opened(source(mqtt_server, topic, version=version, qos=qos, topic_column="where"))
    send(mqtt_server, topic, 0, 10)
    batches = took(reader, 10)
    reader.close()
    reader.close()
    assert ids(batches) == list(range(10))
    assert set(batches[0].rows["where"]) == {topic}


def test_what_was_not_acknowledged_comes_again_and_nothing_else(mqtt_server):
    one = source(mqtt_server, "again")
    reader = opened(one)
    send(mqtt_server, "again", 0, 10)
    done = took(reader, 10)
    reader.commit(done[-1].offset)
    send(mqtt_server, "again", 10, 5)
    assert ids(took(reader, 5)) == list(range(10, 15))
    reader.close()
    send(mqtt_server, "again", 15, 5)
    later = opened(one)
    assert ids(took(later, 10)) == list(range(10, 20))
    later.close()


def test_more_than_usual_may_be_under_way_at_once(mqtt_server):
    reader = opened(source(mqtt_server, "many"))
    send(mqtt_server, "many", 0, 2000)
    assert len(ids(took(reader, 2000))) == 2000
    reader.close()


def test_what_cannot_be_read_is_a_dead_letter(mqtt_server):
    reader = opened(source(mqtt_server, "bad"))
    mqtt_server.publish("bad", "no json")
    (batch,) = took(reader, 1)
    reader.close()
    assert batch.dead["payload"].to_list() == ["no json"]
    assert batch.dead["error"][0].startswith("message 0: line is not JSON")


def test_a_broker_that_is_killed_comes_back_and_nothing_is_lost(mqtt_server):
    reader = opened(source(mqtt_server, "kept"))
    send(mqtt_server, "kept", 0, 5)
    first = took(reader, 5)
    reader.commit(first[-1].offset)
    time.sleep(1.5)  # what the broker has answered is on disk a little later
    mqtt_server.kill()
    mqtt_server.start()
    deadline = time.monotonic() + 15
    while not reader._session.connected and time.monotonic() < deadline:
        time.sleep(0.05)
    send(mqtt_server, "kept", 5, 5)
    assert set(ids(took(reader, 5))) >= set(range(5, 10))
    reader.close()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_rows_are_messages_that_the_broker_has_when_published(mqtt_server, version, qos):
    topic = f"out/{version}/{qos}"
    where = ["-h", "127.0.0.1", "-p", str(mqtt_server.port), "-t", topic, "-q", "2"]
    heard = subprocess.Popen(
        ["stdbuf", "-oL", "mosquitto_sub", *where, "-C", "1000", "-W", "20", "-d"],
        stdout=subprocess.PIPE,
        text=True,
    )
    while "Subscribed" not in heard.stdout.readline():
        pass
    one = formatted(MqttSink(topic=topic, qos=qos, version=version, **place(mqtt_server)))
    rows = pl.DataFrame({"id": range(1000)})
    one.accepts(rows.schema)
    writer = one.open(Write(rows.schema, "p", "out"))
    writer.begin(1)
    writer.write(rows)
    writer.publish(1)
    assert writer.published() is None
    lines = [line for line in heard.communicate(timeout=20)[0].splitlines() if line[0] == "{"]
    writer.close()
    assert [json.loads(line)["id"] for line in lines] == list(range(1000))
    assert one.delivery is (Delivery.AT_LEAST_ONCE if qos else Delivery.AT_MOST_ONCE)


def test_a_retained_message_waits(mqtt_server):
    one = formatted(MqttSink(topic="last", retain=True, **place(mqtt_server)))
    writer = one.open(Write(pl.Schema({"id": pl.Int64()}), "p", "out"))
    writer.begin(1)
    writer.write(pl.DataFrame({"id": [1, 2]}))
    writer.publish(1)
    writer.close()
    assert mqtt_server.messages("last", 1) == ['{"id":2}']


def test_a_broker_that_is_gone_makes_the_epoch_repeat(mqtt_server):
    one = formatted(MqttSink(topic="gone", **place(mqtt_server)))
    writer = one.open(Write(pl.Schema({"id": pl.Int64()}), "p", "out"))
    writer.begin(1)
    mqtt_server.pause()
    writer.write(pl.DataFrame({"id": [1]}))
    mqtt_server.kill()
    with pytest.raises(RetryLater, match="mqtt at 127"):
        writer.publish(1)
    writer.close()
    mqtt_server.start()


def test_an_absent_broker_is_named():
    port = free_port()
    for one in (MqttSource(host="127.0.0.1", port=port, topic="t", client_id="c"),
                MqttSink(host="127.0.0.1", port=port, topic="t")):  # fmt: skip
        with pytest.raises(RetryLater, match=f"mqtt at 127.0.0.1:{port} cannot be reached"):
            one.check()


class Guarded(Mqtt):
    """A broker that asks for a password."""

    name = "guarded_mqtt"

    def prepare(self):
        super().prepare()
        file = self.folder / "passwords"
        self.run("mosquitto_passwd", "-c", "-b", str(file), "ann", "right")
        config = self.folder / "mosquitto.conf"
        text = config.read_text().replace("allow_anonymous true", "allow_anonymous false")
        config.write_text(f"{text}password_file {file}\n")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_wrong_password_says_what_to_check(version):
    Guarded.ensure()
    with folder() as at, Guarded(at) as server:
        right = {"user": "ann", "password": "right", "version": version}
        source(server, "t", **right).check()
        for wrong in ({**right, "password": "wrong"}, {"version": version}):
            with pytest.raises(ConfigError, match="check user and password"):
                opened(source(server, "t", **wrong))
        assert "right" not in repr(source(server, "t", **right))


def test_options_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="client_id"):
        MqttSource(topic="t")
    with pytest.raises(ValueError, match="not to a filter"):
        MqttSink(topic="a/#")
    assert MqttSink(topic="a", version=5).version == "5"


def test_a_pipeline_that_is_killed_loses_nothing(mqtt_server, tmp_path):
    text = f"""
name: keep
source: {{type: mqtt, host: 127.0.0.1, port: {mqtt_server.port}, topic: keep, client_id: keep,
         schema: {{id: int}}}}
output: {{type: file, path: out/, format: json}}
checkpoint: {{path: checkpoint, interval: 50ms}}
"""
    (tmp_path / "p.yaml").write_text(text)
    command = [sys.executable, "-m", "pydatastream", "run", "p.yaml", "-q"]
    opened(source(mqtt_server, "keep", client_id="keep")).close()  # the broker knows it from now

    def files():
        parts = sorted((tmp_path / "out").glob("part-*"))
        return Counter(
            json.loads(line)["id"] for one in parts for line in one.read_text().splitlines()
        )

    for round_ in range(2):
        send(mqtt_server, "keep", 50 * round_, 50)
        process, end = subprocess.Popen(command, cwd=tmp_path), time.monotonic() + 30
        while len(files()) < 50 * round_ + (50 if round_ else 20):
            assert process.poll() is None
            assert time.monotonic() < end, "the rows do not come"
            time.sleep(0.02)
        process.kill()
        process.wait()
    assert set(files()) == set(range(100))
