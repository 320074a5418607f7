"""Loops over a topic that count its records: ours one at a time and in batches."""

import os
import sys

from pydatastream import KafkaReader

ROWS = int(os.environ["BENCH_ROWS"])
reader = KafkaReader(
    os.environ["BENCH_BROKERS"], os.environ["BENCH_IN"], group=f"loop-{os.getpid()}"
)
rows, total = 0, 0.0
if sys.argv[1] == "stream":
    for record in reader.get_stream(limit=ROWS):
        rows += 1
        total += record["temperature"]
else:
    for batch in reader.get_batches(limit=ROWS):
        rows += batch.height
        total += batch["temperature"].sum()
assert rows == ROWS
print(rows, total)
