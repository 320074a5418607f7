"""The client library by itself: `consume` reads a topic to its end, `forward` filters for ever."""

import json
import os
import sys

from confluent_kafka import Consumer, Producer, TopicPartition

BROKERS, TOPIC = os.environ["BENCH_BROKERS"], os.environ["BENCH_IN"]
FETCH = {
    "fetch.queue.backoff.ms": 5,
    "queued.min.messages": 1_000_000,
    "queued.max.messages.kbytes": 64 << 10,
    "fetch.message.max.bytes": 4 << 20,
}
SETTINGS = {"bootstrap.servers": BROKERS, "group.id": "raw", "enable.auto.commit": False}


def opened(at):
    consumer = Consumer(SETTINGS | FETCH | {"enable.partition.eof": True})
    partitions = consumer.list_topics(TOPIC).topics[TOPIC].partitions
    consumer.assign([TopicPartition(TOPIC, number, at) for number in partitions])
    return consumer, len(partitions)


def consume():
    consumer, open_partitions = opened(0)
    rows = size = 0
    while open_partitions:
        for one in consumer.consume(10_000, 0.05):
            if one.error() is None:
                rows += 1
                size += len(one.value())
            else:
                open_partitions -= 1
    print(rows, size)


def forward():
    consumer, _ = opened(-1)
    producer = Producer({"bootstrap.servers": BROKERS, "linger.ms": 1, "acks": "all"})
    out = os.environ["BENCH_OUT"]
    while True:
        one = consumer.poll(0.1)
        if one is not None and one.error() is None:
            value = one.value()
            if json.loads(value)["temperature"] > 10:
                producer.produce(out, value)
            producer.poll(0)


{"consume": consume, "forward": forward}[sys.argv[1]]()
