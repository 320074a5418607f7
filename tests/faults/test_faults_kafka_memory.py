"""The memory of a pipeline follows neither how often a broker was away, nor what has waited."""

from __future__ import annotations

import os
import signal
import statistics
import time
import uuid
from pathlib import Path

import pytest
from confluent_kafka import Producer
from fault_memory import Memory
from fault_runs import Children
from test_faults_kafka import PARTITIONS, made
from test_faults_kafka_soak import LAG, begun, pipeline, until

from services.kafka import Kafka

RESTARTS, PAUSE = 12, 12.0
"""How often the broker is restarted, and seconds after each when nothing waits any more."""

SETTLED = 5
"""Looks, one a second, at the end of a pause: by then memory that was free is given back."""

BACKLOGS = (1_000_000, 3_000_000)
"""Messages that wait when a pipeline starts."""

MOST = 400
"""MB that it may need then."""


@pytest.mark.slow
def test_memory_does_not_grow_with_each_restart(
    kafka_server: Kafka, children: Children, tmp_path: Path
) -> None:
    place, pid, rows, memory = begun(kafka_server, children, tmp_path / "s", float("inf"))
    after = [_settled(memory)]
    for _ in range(RESTARTS):
        kafka_server.restart()
        until(kafka_server, (place / "topic").read_text(), rows, LAG, memory)
        after.append(_settled(memory))
    rows.end()
    os.kill(pid, signal.SIGTERM)
    assert children.wait(pid) == 0
    print(f"MB before the first restart and after each: {after}")
    third = RESTARTS // 3
    first, last = after[third : 2 * third], after[-third:]
    assert statistics.median(last) <= 1.1 * statistics.median(first), after


def _settled(memory: Memory) -> float:
    """What is typical at the end of a pause."""
    time.sleep(PAUSE)
    looks = []
    for _ in range(SETTLED):
        time.sleep(1)
        looks.append(memory.look())
    return statistics.median(looks)


@pytest.mark.slow
def test_memory_does_not_follow_the_backlog(
    kafka_server: Kafka, children: Children, tmp_path: Path
) -> None:
    peaks = [_peak(kafka_server, children, tmp_path / str(count), count) for count in BACKLOGS]
    print(f"peaks in MB at backlogs of {BACKLOGS}: {peaks}")
    assert max(peaks) <= MOST
    assert peaks[1] <= 1.25 * peaks[0]


def _peak(server: Kafka, children: Children, folder: Path, count: int) -> int:
    """The most memory of a pipeline that finds so many messages waiting."""
    topic = f"late-{uuid.uuid4().hex[:6]}"
    made(server, topic)
    fill(server, topic, count)
    pid, peak = children.start(pipeline(server, topic, folder, ends=True)), 0
    memory = Memory(pid)
    while children.wait(pid, 0) is None:
        peak = max(peak, memory.peak())
        time.sleep(0.1)
    return peak


def fill(server: Kafka, topic: str, count: int) -> None:
    """Messages that wait."""
    producer = Producer({"bootstrap.servers": server.address, "linger.ms": 20, "log_level": 0})
    for first in range(0, count, 10_000):
        for n in range(first, first + 10_000):
            value = b'{"id":%d,"k":"d%d","v":%d.5}' % (n, n % 7, 10 + n % 50)
            producer.produce(topic, value, partition=n % PARTITIONS)
        producer.flush(60)
