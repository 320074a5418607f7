"""Bytewax: Kafka -> filter -> one-minute windows by device -> Kafka, tuned as its file job is."""

import gc
import os
from datetime import UTC, datetime, timedelta
from operator import itemgetter

import bytewax.operators as op
import bytewax.operators.windowing as win
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators.windowing import EventClock, TumblingWindower
from orjson import dumps, loads

BROKERS = os.environ["BENCH_BROKERS"].split(",")
FETCH = {"fetch.queue.backoff.ms": "2", "fetch.message.max.bytes": "8388608"}
BATCH = 25_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
at = datetime.fromtimestamp

gc.set_threshold(1_000_000)  # a third of the time went to looking for cycles among messages


def parse(messages):
    return [
        (row["device_id"], (at(row["ts"] / 1000, UTC), row["temperature"]))
        for row in [loads(message.value) for message in messages]
        if row["temperature"] > 10
    ]


def add(state, row):
    value = row[1]
    state[0] += 1
    state[1] += value
    if value > state[2]:
        state[2] = value
    return state


def merge(a, b):
    return [a[0] + b[0], a[1] + b[1], max(a[2], b[2])]


def message(items):
    return [
        KafkaSinkMessage(
            device.encode(),
            dumps({"device_id": device, "w": w, "n": n, "mean": total / n, "hi": hi}),
        )
        for device, (w, (n, total, hi)) in items
    ]


source = KafkaSource(
    BROKERS, [os.environ["BENCH_IN"]], tail=False, batch_size=BATCH, add_config=FETCH
)
# Its watermark goes on with the wall clock: on a slow machine 5 s would make rows late.
clock = EventClock(ts_getter=itemgetter(0), wait_for_system_duration=timedelta(minutes=1))
windower = TumblingWindower(length=timedelta(minutes=1), align_to=EPOCH)

flow = Dataflow("kafka")
rows = op.flat_map_batch("parse", op.input("in", flow, source), parse)
folded = win.fold_window(
    "fold", rows, clock, windower, lambda: [0, 0.0, float("-inf")], add, merge, ordered=False
)
messages = op.flat_map_batch("message", folded.down, message)
op.output("out", messages, KafkaSink(BROKERS, os.environ["BENCH_OUT"], {"linger.ms": "0"}))
