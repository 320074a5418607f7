"""Kafka to Kafka: how many rows a second, and how long one is under way."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import polars as pl
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks import kafka_peers
from benchmarks.contest import OUT, Contender, contest
from benchmarks.data import readings
from benchmarks.measured import note
from services.kafka import Kafka
from services.server import folder

PARTITIONS, LENGTH = 4, 150
RAW = [sys.executable, str(Path(__file__).parent / "peers" / "kafka_raw.py")]
PDS = [sys.executable, "-m", "pydatastream", "run"]
RATE, SECONDS = 10_000, 20

WINDOWS = """\
name: {name}
source: {{type: kafka, brokers: '{brokers}', topic: {source}, stop: latest, format: json, time: ts,
         time_unit: ms, schema: {{device_id: string, ts: int, temperature: float}}}}
processor:
  - filter: temperature > 10
  - tumbling: {{size: 1m, by: [device_id], lateness: 5s,
               aggregate: {{n: count(*), mean: avg(temperature), hi: max(temperature)}}}}
output: {{type: kafka, brokers: '{brokers}', topic: '{out}', key: device_id, format: json,
         create: {{partitions: 4}}}}
{more}
"""

FORWARD = """\
name: {name}
source: {{type: kafka, brokers: '{brokers}', topic: {source}, start: latest, format: json,
         schema: {{t: int, temperature: float}}}}
processor:
  - filter: temperature > 10
output: {{type: kafka, brokers: '{brokers}', topic: {out}, format: json}}
delivery: at_least_once
checkpoint: {{path: {kept}, interval: 1s}}
"""


def main() -> None:
    """Both contests, on a broker of their own; BENCH_ROWS=200000 for a first look."""
    with folder() as place, Kafka(place) as server:
        throughput(server.address, int(os.environ.get("BENCH_ROWS", "2000000")))
        latency(server.address)


def throughput(brokers: str, rows: int) -> None:
    """Filter and one-minute windows, against reading alone and the peers; outputs are checked."""
    topic = filled(brokers, rows)
    raw = {"BENCH_BROKERS": brokers, "BENCH_IN": topic}
    peers = kafka_peers.contenders(brokers, topic, rows)
    safe = "checkpoint: {{path: {kept}, interval: 1s}}\ndelivery: {delivery}"
    twice, once = (
        safe.format(kept="{kept}", delivery=one) for one in ("at_least_once", "exactly_once")
    )
    ours = {
        "PyDataStream, no checkpoint": windows("none", brokers, topic, ""),
        "PyDataStream, at least once": windows("twice", brokers, topic, twice),
        "PyDataStream, exactly once": windows("once", brokers, topic, once),
    }
    contest(
        f"{rows:,} messages of {LENGTH} bytes, {PARTITIONS} partitions: filter, 1-minute windows",
        [
            *(Contender(name, command, rows) for name, (command, _) in ours.items()),
            Contender("confluent-kafka, reading only", [*RAW, "consume"], rows, raw),
            *peers,
        ],
    )
    written = {name: found(brokers, out) for name, (_, out) in ours.items()}
    written |= {peer.name: [peer.env["BENCH_OUT"]] for peer in peers}
    kafka_peers.verify(brokers, topic, written)


def windows(name: str, brokers: str, topic: str, more: str) -> tuple[list[str], str]:
    """The command for the job, and how the topics it writes begin: each run has one of its own."""
    out, kept = f"{topic}-{name}", (OUT / f"{topic}-{name}").absolute()
    file = kept.with_suffix(".yaml")
    names = {"name": out, "brokers": brokers, "source": topic, "out": f"{out}-$RUN"}
    file.write_text(WINDOWS.format(**names, more=more.replace("{kept}", f"{kept}-$RUN")))
    script = f'RUN=$$; export RUN; sed "s/\\$RUN/$RUN/g; s/^name: .*/&-$RUN/" {file} > {file}.$RUN'
    script = f"{script}.yaml; exec {' '.join(PDS)} --json {file}.$RUN.yaml"
    return ["sh", "-c", script], out


def found(brokers: str, start: str) -> list[str]:
    """The topics whose names begin so."""
    topics = AdminClient({"bootstrap.servers": brokers}).list_topics(timeout=20).topics
    return [name for name in topics if name.startswith(start)]


def created(brokers: str, partitions: int = PARTITIONS) -> str:
    """A new topic."""
    topic, admin = f"bench-{uuid.uuid4().hex[:8]}", AdminClient({"bootstrap.servers": brokers})
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(20)
    time.sleep(0.5)
    return topic


def filled(brokers: str, rows: int) -> str:
    """A topic of readings: those of a device in one partition, in the order of time."""
    topic = created(brokers)
    path = readings(rows, 1000)
    devices = pl.read_ndjson(path, schema={"device_id": pl.String})["device_id"]
    numbers = (devices.hash(1) % PARTITIONS).to_list()
    places = zip(devices, numbers, strict=True)
    producer = Producer({"bootstrap.servers": brokers, "linger.ms": 20, "batch.size": 1_000_000})
    with path.open("rb") as lines:
        both = zip(lines, places, strict=True)
        while part := list(islice(both, 10_000)):
            messages = [
                {"value": padded(line), "key": device, "partition": number}
                for line, (device, number) in part
            ]
            producer.produce_batch(topic, messages)
            producer.flush()
    return topic


def padded(line: bytes) -> bytes:
    """A line with a field that makes it as long as it should be."""
    bare = line.rstrip()[:-1] + b',"pad":"'
    return bare + b"x" * max(LENGTH - len(bare) - 2, 0) + b'"}'


def latency(brokers: str) -> None:
    """Filter at 10,000 rows a second, at least once, against a loop of the client library."""
    for _ in range(2):
        for name, start in (("PyDataStream", ours), ("confluent-kafka loop", loop)):
            source, out = created(brokers), created(brokers)
            with start(brokers, source, out):
                delays = passed(brokers, source, out)
            told = ", ".join(f"p{p} {delays.quantile(p / 100):.1f}" for p in (50, 90, 99))
            job = f"{RATE:,} messages a second through a filter, row by row"
            note(job, name, f"{told} ms ({delays.len():,} rows)")


@contextmanager
def running(command: Sequence[str], env: dict[str, str]):
    process = subprocess.Popen(command, env={**os.environ, **env}, stderr=subprocess.DEVNULL)
    try:
        time.sleep(4)
        yield
    finally:
        process.terminate()
        process.wait(20)


def ours(brokers: str, source: str, out: str):
    kept = (OUT / f"kafka-{out}").absolute()
    file = kept.with_suffix(".yaml")
    names = {"name": out, "brokers": brokers, "source": source, "out": out, "kept": kept}
    file.write_text(FORWARD.format(**names))
    return running([*PDS, "-q", str(file)], {})


def loop(brokers: str, source: str, out: str):
    job = {"BENCH_BROKERS": brokers, "BENCH_IN": source, "BENCH_OUT": out}
    return running([*RAW, "forward"], job)


def passed(brokers: str, source: str, out: str) -> pl.Series:
    """Milliseconds from before a message was sent to when it was seen at the other end."""
    sender = threading.Thread(target=send, args=(brokers, source), daemon=True)
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "latency"})
    consumer.assign([TopicPartition(out, number, 0) for number in range(PARTITIONS)])
    sender.start()
    seen, values = list[int](), list[bytes]()
    quiet = time.monotonic() + 10
    while time.monotonic() < quiet:
        one = consumer.poll(0.1)
        if one is not None and one.error() is None:
            seen.append(time.time_ns() // 1000)
            values.append(one.value())
            quiet = time.monotonic() + 3
    consumer.close()
    sent = pl.read_ndjson(b"\n".join(values), schema={"t": pl.Int64})["t"]
    delays = (pl.Series(seen) - sent) / 1000
    return delays[delays.len() // 10 :]


def send(brokers: str, topic: str) -> None:
    """Messages at their time, a tenth of them for the filter to drop."""
    producer = Producer({"bootstrap.servers": brokers, "linger.ms": 1})
    began = time.time()
    for n in range(RATE * SECONDS):
        wait = began + n / RATE - time.time()
        if wait > 0.0005:
            time.sleep(wait)
        value = b'{"t":%d,"temperature":%d.5,"pad":"%s"}' % (
            time.time_ns() // 1000,
            5 + n % 10 * 10,
            b"x" * 100,
        )
        producer.produce(topic, value)
        producer.poll(0)
    producer.flush()


if __name__ == "__main__":
    main()
