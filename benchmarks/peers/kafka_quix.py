"""Quix Streams: Kafka -> filter -> one-minute windows by device -> Kafka, one message at a time.

Without changelog topics, and one reduction instead of three aggregations, for speed. A window is
written when a later message closes it, so the last minute of the input stays unwritten.
"""

import os
import tempfile
import uuid

from confluent_kafka import Consumer, TopicPartition
from quixstreams import Application

BROKERS, IN, OUT = (os.environ[f"BENCH_{name}"] for name in ("BROKERS", "IN", "OUT"))
FETCH = {"fetch.queue.backoff.ms": 2, "max.partition.fetch.bytes": 8388608}


def ends():
    """The last offset of each partition that has messages."""
    consumer = Consumer({"bootstrap.servers": BROKERS, "group.id": "ends"})
    found = {}
    for number in consumer.list_topics(IN).topics[IN].partitions:
        low, high = consumer.get_watermark_offsets(TopicPartition(IN, number))
        if high > low:
            found[number] = high - 1
    consumer.close()
    return found


last = ends()
done = set()


def stop_at_the_end(_topic, partition, offset):
    if offset == last[partition]:
        done.add(partition)
        if len(done) == len(last):
            app.stop()


def first(row):
    value = row["temperature"]
    return [1, value, value]


def add(state, row):
    value = row["temperature"]
    state[0] += 1
    state[1] += value
    if value > state[2]:
        state[2] = value
    return state


def result(window, key, _timestamp, _headers):
    n, total, hi = window["value"]
    minute = window["start"] // 60_000
    return {"device_id": key.decode(), "w": minute, "n": n, "mean": total / n, "hi": hi}


app = Application(
    broker_address=BROKERS,
    consumer_group=f"quix-{uuid.uuid4().hex}",
    auto_offset_reset="earliest",
    state_dir=tempfile.mkdtemp(prefix="quix-"),
    use_changelog_topics=False,
    consumer_extra_config=FETCH,
    producer_extra_config={"linger.ms": 20},
    on_message_processed=stop_at_the_end,
    loglevel="WARNING",
)
source = app.topic(IN, timestamp_extractor=lambda value, *_: value["ts"])
frame = app.dataframe(source)
frame = frame.filter(lambda row: row["temperature"] > 10)
frame = frame.tumbling_window(60_000).reduce(add, first).final("partition")
frame.apply(result, metadata=True).to_topic(app.topic(OUT))
app.run()
