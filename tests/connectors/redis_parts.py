"""What the tests of Redis share: sources and sinks as a plan would have them, runs, kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import polars as pl

from pydatastream.connectors.redis import RedisSource
from pydatastream.connectors.redis_sink import RedisSink
from pydatastream.core.sink import Write
from pydatastream.core.source import Read
from pydatastream.planning.ingest import formatted

TYPES = {"id": "int", "text": "string", "real": "float", "raw": "binary", "when": "timestamp"}
SCHEMA = RedisSource(stream="s", schema=TYPES).declared()
AWKWARD = pl.DataFrame(
    {
        "id": [0, -(2**63), 2**63 - 1, None, 4],
        "text": ["", "é\U0001f600\n\r\n\x00", None, "$5\r\nhello\r\n", "x" * (1 << 20)],
        "real": [0.1, float("nan"), None, float("-inf"), 1e300],
        "raw": [b"", b"\xff\x00\r\n", b"1", None, bytes(range(256))],
        "when": [0, 1, -1, None, 253402300799999999],
    },
    schema_overrides={"when": pl.Datetime("us", "UTC")},
)
LONGEST = 60


def source(server, **options):
    return formatted(RedisSource(url=f"redis://{server.address}/0", **options))


def sink(server, **options):
    return formatted(RedisSink(url=f"redis://{server.address}/0", **options))


def opened(one, schema=SCHEMA, *, once=True, name="p"):
    one.accepts(schema)
    return one.open(Write(schema, name, "out", durable=True, transactional=once))


def published(one, rows, epoch=1, **how):
    writer = opened(one, rows.schema, **how)
    writer.begin(epoch)
    writer.write(rows)
    writer.publish(epoch)
    writer.close()


def numbers(count, first=0):
    return pl.DataFrame({"id": range(first, first + count)}, schema={"id": pl.Int64})


def read(one, partition, count=None, **job):
    """The batches of a reader: all, or as many as hold `count` rows."""
    reader, found = one.open(partition, Read(one.declared(), **job)), []
    try:
        for batch in reader:
            found += [batch] if batch else []
            if count is not None and sum(map(height, found)) >= count:
                break
    finally:
        reader.close()
    return found


def height(batch):
    return batch.rows.height + batch.dead.height


def joined(batches):
    return pl.concat([one.rows for one in batches])


def entries(server, key):
    """The entries of a stream as redis-cli prints them: a list of fields each."""
    text = server.cli("--json", "-3", "XRANGE", key, "-", "+")
    return [fields for _, fields in json.loads(text)]


def ids(server, key):
    return Counter(int(fields[1]) for fields in entries(server, key))


class Pipeline:
    """A pipeline in a folder, run as a process of its own."""

    def __init__(self, folder: Path, text: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pipeline.yaml").write_text(text)

    def start(self, fault: str | None = None) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "pydatastream", "run", "pipeline.yaml", "-q"]
        environment = {**os.environ, **({"PDS_FAULT": fault} if fault else {})}
        return subprocess.Popen(
            command, cwd=self.folder, env=environment, stderr=(self.folder / "log").open("ab")
        )

    def run(self, fault: str | None = None) -> int:
        return self.start(fault).wait(LONGEST)

    def done(self) -> None:
        assert self.run() == 0, (self.folder / "log").read_text()[-2000:]

    def killed(self, fault: str) -> None:
        assert self.run(fault) == -signal.SIGKILL, (self.folder / "log").read_text()[-2000:]

    def killed_after(self, seconds: float) -> None:
        process = self.start()
        time.sleep(seconds)
        process.kill()
        process.wait()

    def rows(self, folder="out"):
        return Counter(
            json.loads(line)["id"]
            for file in sorted((self.folder / folder).glob("part-*"))
            for line in file.read_text().splitlines()
        )
