"""kill -9 of pipelines from and to Kafka, and of the broker: nothing lost, nothing twice."""

from __future__ import annotations

import json
import os
import signal
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from fault_runs import Case, Children, Killer, Rows, Totals, read

from services.kafka import Kafka

ROWS, PARTITIONS = 600, 2
VALUES = [{"id": n, "k": f"d{n % 7}", "v": n * 0.25} for n in range(ROWS)]
KEPT = [one for one in VALUES if one["v"] >= 10]

FILE_IN = "{type: file, path: in.jsonl, format: json}"
FILE_OUT = "{type: file, path: out/, format: json}"
COLUMNS = "schema: {id: int, k: string, v: float}"
PIPELINE = """
name: {name}
source: {source}
processor:
  - filter: v >= 10
output: {output}
checkpoint: {{path: checkpoint, interval: 0s}}
batch: {{rows: 100}}
"""


@dataclass(frozen=True)
class KafkaCase(Case):
    """A pipeline whose rows stand in one topic, and end in another one or in files."""

    server: Kafka | None = None
    source: str = FILE_IN
    output: str = FILE_OUT

    def prepare(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{self.name}-{uuid.uuid4().hex[:6]}"
        made(self.server, name)
        text = PIPELINE.format(name=name, source=self.source, output=self.output)
        (folder / "pipeline.yaml").write_text(text.replace("OUT", name))
        self.write(folder)
        (folder / "topic").write_text(name)
        return folder

    def found(self, folder: Path) -> Rows:
        if self.output == FILE_OUT:
            return counted(read(folder / "out"))
        return counted(committed(self.server, (folder / "topic").read_text()))


def counted(rows: Iterator[dict[str, Any]]) -> Rows:
    return Counter(tuple(sorted(row.items())) for row in rows)


def made(server: Kafka, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": server.address, "log_level": 0})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(20)


def committed(server: Kafka, topic: str) -> Iterator[dict[str, Any]]:
    """What a reader of committed messages sees, up to the end as all see it."""
    settings = {"group.id": "check", "enable.partition.eof": True, "log_level": 0}
    consumer = Consumer({"bootstrap.servers": server.address, **settings})
    places = [TopicPartition(topic, number, 0) for number in range(PARTITIONS)]
    consumer.assign(places)
    ended = 0
    while ended < PARTITIONS:
        for one in consumer.consume(1000, 0.1):
            ended += one.error() is not None
            if one.error() is None:
                yield json.loads(one.value())
    consumer.close()


@pytest.fixture(scope="module")
def filled(kafka_server: Kafka) -> str:
    """A topic with the rows."""
    topic = f"in-{uuid.uuid4().hex[:6]}"
    made(kafka_server, topic)
    put(kafka_server, topic, VALUES)
    return topic


def put(server: Kafka, topic: str, values: list[dict[str, Any]]) -> None:
    producer = Producer({"bootstrap.servers": server.address, "log_level": 0})
    for one in values:
        producer.produce(topic, json.dumps(one), partition=one["id"] % PARTITIONS)
    assert not producer.flush(60)


def write_file(folder: Path) -> None:
    (folder / "in.jsonl").write_text("".join(json.dumps(one) + "\n" for one in VALUES))


def case_of(server: Kafka, filled: str, name: str) -> KafkaCase:
    brokers = f"brokers: '{server.address}'"
    source = f"{{type: kafka, {brokers}, topic: {filled}, stop: latest, {COLUMNS}}}"
    output = f"{{type: kafka, {brokers}, topic: OUT, key: k}}"
    first, last = name.split("-")
    return KafkaCase(
        name,
        "checkpoint:",
        write_file if first == "file" else lambda folder: None,
        (),
        server=server,
        source=source if first == "kafka" else FILE_IN,
        output=output if last == "kafka" else FILE_OUT,
    )


@pytest.mark.parametrize("name", ["file-kafka", "kafka-kafka", "kafka-file"])
def test_killed(
    name: str,
    kafka_server: Kafka,
    filled: str,
    children: Children,
    tmp_path: Path,
    tally: Totals,
    long: bool,
) -> None:
    case = case_of(kafka_server, filled, name)
    killer = Killer(children, case, tmp_path)
    expected = killer.whole()
    assert expected == counted(iter(KEPT))
    for chain in killer.chains(*((6, 6) if long else (1, 5))):
        killer.at_points(expected, chain)
    for _ in range(8 if long else 1):
        killer.at_times(expected, [killer.dice.uniform(0, killer.seconds) for _ in range(3)])
    tally.add(killer.totals)
    print(killer.totals)
    assert killer.totals.kills
    assert (killer.totals.lost, killer.totals.twice) == (0, 0), str(killer.totals)


def test_the_sink_is_killed_at_each_of_its_steps(
    kafka_server: Kafka, filled: str, children: Children, tmp_path: Path, tally: Totals
) -> None:
    killer = Killer(children, case_of(kafka_server, filled, "kafka-kafka"), tmp_path)
    expected = killer.whole()
    steps = [f"kafka.{one}:kill:2" for one in ("begun", "sent", "marked", "published")]
    assert {one.split(":")[0] for one in steps} <= set(killer.passes)
    killer.at_points(expected, steps)
    tally.add(killer.totals)
    assert killer.totals.kills == len(steps)
    assert (killer.totals.lost, killer.totals.twice) == (0, 0), str(killer.totals)


def test_the_broker_is_killed_while_a_pipeline_runs(
    kafka_server: Kafka, children: Children, tmp_path: Path
) -> None:
    """Rows come, the broker dies and comes back twice, the pipeline lives through it."""
    topic = f"live-{uuid.uuid4().hex[:6]}"
    made(kafka_server, topic)
    case = case_of(kafka_server, topic, "kafka-kafka")
    live = KafkaCase(
        case.name,
        "",
        case.write,
        (),
        server=kafka_server,
        output=case.output,
        source=case.source.replace(" stop: latest,", ""),
    )
    place = live.prepare(tmp_path / "live")
    pid = children.start(place)
    out = (place / "topic").read_text()
    try:
        for third in range(3):
            put(kafka_server, topic, VALUES[third::3])
            if third < 2:
                kafka_server.kill()
                time.sleep(0.5)
                kafka_server.start()
        assert arrived(kafka_server, out) == counted(iter(KEPT)), (place / "stderr.txt").read_text()
    finally:
        os.kill(pid, signal.SIGTERM)
        code = children.wait(pid)
    assert code == 0, (place / "stderr.txt").read_text()
    assert counted(committed(kafka_server, out)) == counted(iter(KEPT))


def arrived(server: Kafka, topic: str, seconds: float = 60) -> Rows:
    """What is there as soon as there is enough."""
    end = time.monotonic() + seconds
    while True:
        found = counted(committed(server, topic))
        if found.total() >= len(KEPT) or time.monotonic() > end:
            return found
        time.sleep(0.2)
