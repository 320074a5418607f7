"""Hours in small: 20,000 rows a second while the broker is restarted (SOAK_SECONDS: how long)."""

from __future__ import annotations

import os
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from fault_memory import Memory, folder_size
from fault_runs import Children
from test_faults_kafka import PARTITIONS, case_of, made

from services.kafka import Kafka

RATE = 20_000
SECONDS = int(os.environ.get("SOAK_SECONDS", "1200"))
RESTARTS = [SECONDS / 3, 2 * SECONDS / 3]
TICK = 0.05
"""Seconds between two portions of the rows."""

RECOVERED = 30.0
"""Seconds after the broker is back in which the lag must be gone."""

LAG = 3 * RATE
"""Rows that may be under way: epochs take a second."""

BEFORE, BETWEEN, AFTER = (0.1, 0.25), (0.45, 0.65), (0.75, 1.0)
"""Parts of the whole time: of 20 minutes, the third to the fifth, four
between the two, and the last five."""


class Rows(threading.Thread):
    """Sends rows of rising numbers at their time."""

    def __init__(self, server: Kafka, topic: str, seconds: float) -> None:
        super().__init__(daemon=True)
        self._count = RATE * seconds
        settings = {"linger.ms": 5, "enable.idempotence": True, "message.timeout.ms": 300_000}
        most = {"queue.buffering.max.messages": 2_000_000, "log_level": 0}
        self._producer = Producer({"bootstrap.servers": server.address, **settings, **most})
        self._topic = topic
        self.sent = 0

    def run(self) -> None:
        began = time.monotonic()
        while self.sent < self._count:
            due = int(min((time.monotonic() - began) * RATE, self._count))
            for n in range(self.sent, due):
                value = b'{"id":%d,"k":"d%d","v":%d.5}' % (n, n % 7, 10 + n % 50)
                self._producer.produce(self._topic, value, partition=n % PARTITIONS)
            self.sent = due
            self._producer.poll(TICK)
        assert self._producer.flush(300) == 0

    def end(self) -> None:
        """Send no more."""
        self._count = 0
        self.join()


def numbers(server: Kafka, topic: str) -> Iterator[int]:
    """The ids that a reader of committed messages sees, up to the end as it is now."""
    settings = {"group.id": "soak", "enable.partition.eof": True, "log_level": 0}
    consumer = Consumer({"bootstrap.servers": server.address, **settings})
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    ended = 0
    while ended < PARTITIONS:
        for one in consumer.consume(10_000, 0.2):
            ended += one.error() is not None
            if one.error() is None:
                yield int(one.value()[6:].split(b",", 1)[0])
    consumer.close()


def written(server: Kafka, topic: str) -> int:
    """Where the topic ends, over all partitions: a marker of each transaction counts too.

    0 where the broker, which has just begun, does not yet know.
    """
    consumer = Consumer({"bootstrap.servers": server.address, "group.id": "soak", "log_level": 0})
    places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    try:
        return sum(consumer.get_watermark_offsets(place, 20)[1] for place in places)
    except KafkaException:
        return 0
    finally:
        consumer.close()


@pytest.mark.slow
def test_memory_stays_lag_recovers_and_nothing_is_lost(
    kafka_server: Kafka, children: Children, tmp_path: Path
) -> None:
    place, pid, rows, memory = begun(kafka_server, children, tmp_path / "s", SECONDS)
    out = (place / "topic").read_text()
    recovered = list(_restarted(kafka_server, out, rows, memory))
    while rows.is_alive():
        memory.look()
        time.sleep(1)
    recovered.append(until(kafka_server, out, rows, 0, memory))
    size = folder_size(place / "checkpoint")
    os.kill(pid, signal.SIGTERM)
    assert children.wait(pid) == 0, (place / "stderr.txt").read_text()[-2000:]
    seen = bytearray(rows.sent)
    for number in numbers(kafka_server, out):
        seen[number] += 1
    print(f"{rows.sent:,} rows, lag gone after {recovered} s, checkpoint {size:,} bytes")
    print(f"memory in MB: {memory.told(SECONDS / 60)}")
    assert (seen.count(0), seen.count(1)) == (0, rows.sent)
    assert max(recovered) < RECOVERED
    assert size < 1 << 20
    before, between, after = (memory.median(part) for part in (BEFORE, BETWEEN, AFTER))
    told = f"memory {before} MB, after a restart {between}, after another one {after}"
    assert after <= 1.1 * between, told
    assert after <= 1.25 * before, told  # a first restart finds arenas and pools still small


def begun(
    server: Kafka, children: Children, folder: Path, seconds: float
) -> tuple[Path, int, Rows, Memory]:
    """A pipeline at work in a folder, its process, the rows that come for it, and its memory."""
    topic = f"soak-{uuid.uuid4().hex[:6]}"
    made(server, topic)
    place = pipeline(server, topic, folder)
    pid = children.start(place)
    rows = Rows(server, topic, seconds)
    rows.start()
    return place, pid, rows, Memory(pid)


def pipeline(server: Kafka, topic: str, folder: Path, *, ends: bool = False) -> Path:
    """A folder with a pipeline that filters one topic into another one, an epoch a second."""
    case = case_of(server, topic, "kafka-kafka")
    source = case.source if ends else case.source.replace(" stop: latest,", "")
    place = replace(case, source=source).prepare(folder)
    file = place / "pipeline.yaml"
    text = file.read_text().replace("interval: 0s", "interval: 1s")
    file.write_text(text.replace("batch: {rows: 100}", ""))
    return place


def _restarted(server: Kafka, out: str, rows: Rows, memory: Memory) -> Iterator[float]:
    """Restart the broker at its times; gives how long it took until the lag was gone."""
    began = time.monotonic()
    for at in RESTARTS:
        while time.monotonic() - began < at:
            memory.look()
            time.sleep(1)
        server.restart()
        yield until(server, out, rows, LAG, memory)


def until(server: Kafka, topic: str, rows: Rows, lag: int, memory: Memory) -> float:
    """Seconds until not more rows than these are missing."""
    began = time.monotonic()
    while rows.sent - written(server, topic) > lag:
        assert time.monotonic() - began < 120, "the lag does not recover"
        memory.look()
        time.sleep(0.5)
    return round(time.monotonic() - began, 1)
