"""The client library by itself: XREAD, filter, XADD in a pipeline."""

import os

import orjson
from redis import Redis

client = Redis.from_url(os.environ["BENCH_URL"], protocol=2)
out, last = f"raw-{os.getpid()}", b"0-0"
while found := client.xread({"bench-in": last}, count=10_000):
    entries = found[0][1]
    last = entries[-1][0]
    pipe = client.pipeline(transaction=False)
    for _, fields in entries:
        if orjson.loads(fields[b"data"])["temperature"] > 10:
            pipe.xadd(out, fields)
    pipe.execute()
