"""The peers of the Kafka job, each in an environment of its own, and the check of what they wrote.

The topic read must be keyed by device and in time order within each partition.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.contest import Contender, environment
from services.install import jars

PEERS = Path(__file__).parent / "peers"
PARTITIONS = 4
KEY = ["device_id", "w"]

SPARK = "org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0"
SPARK_JARS = ("spark-sql-kafka", "spark-token-provider", "kafka-clients", "commons-pool2")
"""What the connector needs that PySpark has not got."""
FLINK = "org.apache.flink:flink-sql-connector-kafka:5.0.0-2.2"


def contenders(brokers: str, topic_in: str, rows: int) -> list[Contender]:
    """Every peer once, each to write into a new topic of its own."""
    peers = [_bytewax(), _flink(), _spark(), _quix()]
    job = {"BENCH_BROKERS": brokers, "BENCH_IN": topic_in}
    made = []
    for name, command, env in peers:
        out = f"{topic_in}-{name.split()[0].lower()}-{time.time_ns()}"
        made.append(Contender(name, command, rows, job | {"BENCH_OUT": out} | env, rounds=1))
    _create(brokers, [one.env["BENCH_OUT"] for one in made])
    return made


Peer = tuple[str, list[str], dict[str, str]]


def _bytewax() -> Peer:
    python = environment("bytewax-kafka", "bytewax[kafka]==0.21.1", "orjson")
    flow = f"{PEERS / 'kafka_bytewax.py'}:flow"
    return "Bytewax 0.21.1", [str(python), "-m", "bytewax.run", flow], {}


def _flink() -> Peer:
    python = environment("flink", "apache-flink==2.3.0")
    (jar,) = jars("flink-kafka", FLINK).glob("*.jar")
    return "Flink 2.3.0 SQL", [str(python), str(PEERS / "kafka_flink.py")], {"BENCH_JARS": str(jar)}


def _spark() -> Peer:
    python = environment("spark", "pyspark==4.2.0")
    found = sorted(str(one) for one in jars("spark-kafka", SPARK).glob("*.jar"))
    needed = [one for one in found if Path(one).name.startswith(SPARK_JARS)]
    script = str(PEERS / "kafka_spark.py")
    return "Spark 4.2.0", [str(python), script], {"BENCH_JARS": ",".join(needed)}


def _quix() -> Peer:
    python = environment("quix", "quixstreams==3.28.1")
    return "Quix Streams 3.28.1", [str(python), str(PEERS / "kafka_quix.py")], {}


def _create(brokers: str, topics: Sequence[str]) -> None:
    admin = AdminClient({"bootstrap.servers": brokers})
    # Quix dates its output as the windows are: the broker would delete it as years old.
    keep = {"retention.ms": "-1"}
    wanted = [NewTopic(topic, PARTITIONS, 1, config=keep) for topic in topics]
    for made in admin.create_topics(wanted).values():
        made.result()


def verify(brokers: str, topic_in: str, written: Mapping[str, Sequence[str]]) -> None:
    """Stop unless each of these, by name, wrote every window once with its true figures.

    Quix alone may lack windows that no later message of the partition closed.
    """
    truth = _windows(_messages(brokers, topic_in))
    for name, topic in ((name, topic) for name, topics in written.items() for topic in topics):
        found = _minutes(_messages(brokers, topic))
        right = _right(truth, found)
        lacking = truth.join(right, KEY, "anti")
        if name.startswith("Quix"):
            lacking = lacking.filter(pl.col("w") < truth["w"].max())
        if right.height != found.height or lacking.height:
            wrong = found.height - right.height
            told = f"{found.height} windows, {wrong} wrong, {lacking.height} lacking"
            raise SystemExit(f"{name}: {told}; true are {truth.height}")


def _minutes(found: pl.DataFrame) -> pl.DataFrame:
    """Ours says when a window starts, the peers which minute it is."""
    if "window_start" not in found.columns:
        return found
    start = pl.col("window_start").str.to_datetime(time_unit="ms", time_zone="UTC")
    return found.with_columns(w=start.dt.epoch("s") // 60)


def _right(truth: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """The windows found whose figures are true, each once."""
    both = truth.join(found, KEY, suffix="_found")
    same = [pl.col(name) == pl.col(f"{name}_found") for name in ("n", "hi")]
    near = (pl.col("mean") - pl.col("mean_found")).abs() < 1e-9
    return both.filter(*same, near).unique(KEY)


def _windows(rows: pl.DataFrame) -> pl.DataFrame:
    """The right answer, by one query over all rows."""
    value = pl.col("temperature")
    return (
        rows.filter(value > 10)
        .group_by("device_id", w=pl.col("ts") // 60_000)
        .agg(n=pl.len().cast(pl.Int64), mean=value.mean(), hi=value.max())
    )


def _messages(brokers: str, topic: str) -> pl.DataFrame:
    """All JSON messages of a topic, as a frame."""
    ends = {"enable.partition.eof": True, "auto.offset.reset": "earliest"}
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "verify", **ends})
    numbers = list(consumer.list_topics(topic, timeout=20).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, number, 0) for number in numbers])
    values: list[bytes] = []
    ended = 0
    while ended < len(numbers):
        part = consumer.consume(50_000, 1)
        values += [one.value() or b"" for one in part if one.error() is None]
        ended += sum(one.error() is not None for one in part)
    consumer.close()
    return pl.read_ndjson(b"\n".join(values))
