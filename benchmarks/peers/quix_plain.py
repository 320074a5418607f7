"""Quix Streams: a loop over a topic that counts its records, decoded from JSON."""

import os
import tempfile
import uuid

from quixstreams import Application

BROKERS, IN, ROWS = (os.environ[f"BENCH_{name}"] for name in ("BROKERS", "IN", "ROWS"))
FETCH = {"fetch.queue.backoff.ms": 2, "max.partition.fetch.bytes": 8388608}
rows, total = 0, 0.0


def count(record):
    global rows, total
    rows += 1
    total += record["temperature"]
    if rows == int(ROWS):
        app.stop()


app = Application(
    broker_address=BROKERS,
    consumer_group=f"quix-{uuid.uuid4().hex}",
    auto_offset_reset="earliest",
    state_dir=tempfile.mkdtemp(prefix="quix-"),
    consumer_extra_config=FETCH,
    loglevel="WARNING",
)
frame = app.dataframe(app.topic(IN))
frame.update(count)
app.run()
assert rows == int(ROWS), rows
print(rows, total)
