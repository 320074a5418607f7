"""Kafka to Redis from end to end, as redis-cli sees it; and with both servers killed in turn."""

from __future__ import annotations

import json
import signal
import time
import uuid
from pathlib import Path

import pytest
from confluent_kafka import Producer

from services.server import free_port, wait_until

EXAMPLE = Path(__file__).parents[2] / "examples" / "kafka_to_redis"
MAIN = EXAMPLE / "main.py"


@pytest.fixture
def names():
    """A topic and a stream of their own."""
    word = uuid.uuid4().hex[:8]
    return f"topic-{word}", f"stream-{word}"


@pytest.fixture
def run(programs, kafka_server, redis_server, names):
    topic, stream = names
    return programs(
        KAFKA_BROKERS=kafka_server.address,
        REDIS_URL=redis_server.environment()["REDIS_URL"],
        SAMPLE=str(EXAMPLE / "sample_data.csv"),
        TOPIC=topic,
        REDIS_STREAM=stream,
        KAFKA_GROUP=f"group-{topic}",
    )


def records(redis_server, stream):
    lines = redis_server.cli("XRANGE", stream, "-", "+").splitlines()
    return [json.loads(lines[n + 1]) for n, line in enumerate(lines) if line == "data"]


def test_the_lines_of_the_readme(run, redis_server, names):
    run.run("pds", "run", "-q", EXAMPLE / "sample.yaml")
    run.run(MAIN, "--limit", "800")
    found = records(redis_server, names[1])
    first = {"device_id": "mote-1", "temperature": 27.97, "humidity": 45.93, "fahrenheit": 82.346}
    assert {**first, "ts": "2010-03-01T00:00:00Z"} in found
    assert len(found) == 752
    assert min(one["temperature"] for one in found) == 27


def test_the_pipeline_writes_the_same(run, redis_server, names):
    run.run("pds", "run", "-q", EXAMPLE / "sample.yaml")
    run.run(MAIN, "--limit", "800")
    (run.folder / "again.yaml").write_text(
        (EXAMPLE / "pipeline.yaml").read_text().replace("stream: readings", "stream: again")
    )
    redis_server.cli("DEL", "again")
    run.start("pds", "run", "-q", "again.yaml")
    assert wait_until(lambda: redis_server.cli("XLEN", "again").strip() == "752", 60)
    both = (records(redis_server, one) for one in ("again", names[1]))
    one, other = (sorted(map(json.dumps, some)) for some in both)
    assert one == other


def test_what_is_wrong_is_one_message(run, redis_server, names, programs):
    said = run.run(MAIN, fails=True)
    assert said.startswith("error: kafka at ")
    assert "try: check `topic:`" in said
    missing = run.folder / "config.yaml"
    missing.write_text("broker_list: a:1\nredis: {}\n")
    del run.environment["TOPIC"]
    said = run.run(MAIN, "--config", missing, fails=True)
    assert "config.yaml:1:1: the key 'topic' is missing" in said
    run.environment["REDIS_URL"] = f"redis://localhost:{free_port()}"
    run.environment["TOPIC"] = names[0]
    run.run("pds", "run", "-q", EXAMPLE / "sample.yaml")
    assert "is Redis running at" in run.run(MAIN, fails=True)
    run.environment["REDIS_URL"] = redis_server.environment()["REDIS_URL"]
    run.environment["REDIS_PASSWORD"] = "wrong"
    assert "try: check user and password" in run.run(MAIN, fails=True)


def test_a_record_that_fails_is_set_aside(run, kafka_server, redis_server, names):
    run.run("pds", "run", "-q", EXAMPLE / "sample.yaml")
    put(kafka_server, names[0], ['{"temperature": "hot"}', "no json", '{"temperature": 30}'])
    said = run.run(MAIN, "--limit", "802")
    assert "TypeError" in said
    assert len(records(redis_server, names[1])) == 753
    letters = run.run("pds", "dlq", "show", f".pds/dead/{names[0]}")
    assert "2 in" in letters
    assert "no json" in letters


def put(kafka_server, topic, values):
    producer = Producer({"bootstrap.servers": kafka_server.address, "log_level": 0})
    for value in values:
        producer.produce(topic, value, partition=0)  # in their order
    assert producer.flush(60) == 0


def test_nothing_is_lost_when_everybody_is_killed_in_turn(run, kafka_server, redis_server, names):
    topic, stream = names
    run.run("pds", "run", "-q", EXAMPLE / "sample.yaml")
    loop = run.start(MAIN)
    sent = 0

    def more():
        nonlocal sent
        put(
            kafka_server,
            topic,
            [json.dumps({"temperature": 40, "n": n}) for n in range(sent, sent + 200)],
        )
        sent += 200

    def arrived():
        return {one["n"] for one in records(redis_server, stream) if "n" in one}

    more()
    assert wait_until(lambda: len(arrived()) > 0, 60)
    for server in (kafka_server, redis_server):
        more()
        server.kill()
        time.sleep(0.3)
        server.start()
        more()
    loop.send_signal(signal.SIGKILL)
    loop.wait()
    more()
    run.start(MAIN)
    assert wait_until(lambda: arrived() == set(range(sent)), 60), sent
    assert len([one for one in records(redis_server, stream) if "ts" in one]) >= 752
