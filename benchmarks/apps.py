"""The promised applications: loops over Kafka, Kafka to Redis, ZeroMQ to files."""

from __future__ import annotations

import statistics
import sys
import uuid
from pathlib import Path

from redis import Redis as Client

from benchmarks import kafka, zeromq
from benchmarks.contest import OUT, Contender, contest, environment
from services.kafka import Kafka
from services.redis import Redis
from services.server import folder

PEERS = Path(__file__).parent / "peers"
COPY = """\
name: copy-$RUN
source: {{type: kafka, brokers: '{brokers}', topic: {topic}, stop: latest, format: json,
         schema: {{device_id: string, ts: int, temperature: float, status: string}}}}
processor: [filter: temperature > 10]
output: {{type: redis, url: '{url}', stream: {topic}-$RUN, format: json, maxlen: 100000}}
"""


def main(rows: int = 2_000_000) -> None:
    """All of them, each on servers of its own."""
    with folder() as place, Kafka(place / "kafka") as broker, Redis(place / "redis") as redis:
        topic = kafka.filled(broker.address, rows)
        loops(broker.address, topic, rows)
        copy(broker.address, topic, redis.environment()["REDIS_URL"], rows)
    rates = [zeromq.rate(rows, 1, "") / 1e6 for _ in range(3)]
    print(
        f"\n{rows:,} JSON messages from ZeroMQ to a file: {statistics.median(rates):.3f} M rows/s"
    )


def loops(brokers: str, topic: str, rows: int) -> None:
    """KafkaReader against Quix Streams, record by record, and against the client, in batches."""
    job = {"BENCH_BROKERS": brokers, "BENCH_IN": topic, "BENCH_ROWS": str(rows)}
    ours, plain = str(PEERS / "kafka_loops.py"), str(PEERS / "quix_plain.py")
    quix = str(environment("quix", "quixstreams==3.28.1"))
    stream = Contender("KafkaReader.get_stream", [sys.executable, ours, "stream"], rows, job)
    batches = Contender("KafkaReader.get_batches", [sys.executable, ours, "batches"], rows, job)
    raw = Contender("confluent-kafka, consume", [*kafka.RAW, "consume"], rows, job)
    contest(
        f"{rows:,} messages of {kafka.LENGTH} bytes, record by record",
        [stream, Contender("Quix Streams, decoded", [quix, plain], rows, job, rounds=1)],
    )
    contest(f"{rows:,} messages of {kafka.LENGTH} bytes, in batches", [batches, raw])


def copy(brokers: str, topic: str, url: str, rows: int) -> None:
    """A pipeline from a topic to a stream, which a server syncs at every answer."""
    file = (OUT / f"apps-{uuid.uuid4().hex[:6]}.yaml").absolute()
    file.parent.mkdir(exist_ok=True)
    file.write_text(COPY.format(brokers=brokers, topic=topic, url=url))
    fresh = f'RUN=$$; sed "s/\\$RUN/$RUN/g" {file} > {file}.$RUN.yaml'
    run = f"exec {sys.executable} -m pydatastream run -q {file}.$RUN.yaml"
    contest(
        f"{rows:,} rows from Kafka to a Redis stream, filtered",
        [Contender("PyDataStream", ["sh", "-c", f"{fresh}; {run}"], rows)],
    )
    (name, *_) = Client.from_url(url).keys(f"{topic}-*")
    assert Client.from_url(url).xlen(name) >= 100_000


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
