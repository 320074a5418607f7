"""Runs of `python main.py` as a user starts them, and what is in files, server and topics then."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from pydatastream.apps.cdr import job
from pydatastream.apps.cdr.options import Options
from services.kafka import Kafka
from services.sftp import Sftp

MAIN = Path(__file__).parents[2] / "examples" / "cdr" / "main.py"
KINDS = ("cdr_data", "cdr_voice")
TIMES = {"cdr_data": "event_datetime", "cdr_voice": "start_time"}

SMALL = ["--total-seconds", "250", "--lines-per-second", "4", "--line-count", "40"]
COUNT, PAIRS = 1000, 25
"""Records and files of each kind in a small run."""


@dataclass
class Ended:
    """How a run ended, and what it said."""

    code: int
    said: str


@dataclass
class Cdr:
    """One job in a folder and a simulated year of its own: the topics are those of all."""

    folder: Path
    kafka: Kafka | None = None
    sftp: Sftp | None = None
    options: list[str] = field(default_factory=lambda: list(SMALL))
    name: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    year: int = field(default_factory=lambda: random.Random().randint(1000, 9999))
    kills: int = 0

    @property
    def output(self) -> Path:
        return self.folder / "output"

    def start(self, *options: str, fault: str | None = None, **env: str) -> subprocess.Popen[str]:
        known = {key: value for key, value in os.environ.items() if key[:4] not in ("CDR_", "SFTP")}
        served = [server.environment() for server in (self.kafka, self.sftp) if server]
        for one in served:
            known |= one
        known |= {"PDS_FAULT": fault} if fault else {}
        return subprocess.Popen(
            [sys.executable, MAIN, *self.options, *self._places(), *options],
            env={**known, "USER": "ada", **env},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *options: str, fault: str | None = None, **env: str) -> Ended:
        process = self.start(*options, fault=fault, **env)
        said, _ = process.communicate(timeout=180)
        self.kills += process.returncode == -signal.SIGKILL
        return Ended(process.returncode, said)

    def finish(self) -> str:
        ended = self.run()
        assert ended.code == 0, ended.said
        return ended.said

    def killed_after(self, seconds: float) -> None:
        process = self.start()
        time.sleep(seconds)
        process.kill()
        process.communicate()
        self.kills += process.returncode == -signal.SIGKILL

    def files(self) -> dict[str, str]:
        """The files that a user sees, by name."""
        return {path.name: path.read_text() for path in sorted(self.output.glob("cdr_*"))}

    def uploaded(self) -> dict[str, str]:
        """What the sftp program fetches."""
        assert self.sftp
        target = self.folder / f"fetched-{time.monotonic_ns()}"
        target.mkdir()
        self.sftp.sftp(f"get {self.name}/cdr_* {target}/")
        return {path.name: path.read_text() for path in sorted(target.iterdir())}

    def hidden(self) -> list[str]:
        """What is half-written, here and on the server."""
        places = [self.output, *([self.sftp.root / self.name] if self.sftp else [])]
        return [str(one) for place in places for one in place.glob(".cdr_*")]

    def messages(self) -> dict[str, Counter[str]]:
        """The records of this job in each topic, as sorted JSON: all that is committed."""
        assert self.kafka
        return {kind: self.mine(kind, committed(self.kafka, kind)) for kind in KINDS}

    def mine(self, kind: str, values: Iterable[str | bytes]) -> Counter[str]:
        """Those of the messages of a topic that are of this job."""
        rows = map(json.loads, values)
        mine = (row for row in rows if row[TIMES[kind]].startswith(f"{self.year}-"))
        return Counter(json.dumps(row, sort_keys=True) for row in mine)

    def index(self) -> int:
        path = self.output / "idx_data.dat"
        return int(json.loads(path.read_text())["index"]) if path.exists() else 0

    def _places(self) -> list[str]:
        kafka = [] if self.kafka else ["--no-kafka"]
        sftp = ["--sftp-path", self.name] if self.sftp else ["--no-sftp"]
        return [*kafka, *sftp, "--start", f"{self.year}-01-01", "--output", "output"]


def records(files: dict[str, str], kind: str) -> Counter[str]:
    """The records of some files as the topics have them."""
    whole = {"tower_id", "up_bytes", "down_bytes", "call_duration_sec"}
    found: Counter[str] = Counter()
    for name, text in files.items():
        for row in csv.DictReader(StringIO(text)) if name.startswith(kind) else ():
            typed: dict[str, Any] = {k: int(v) if k in whole else v for k, v in row.items()}
            found[json.dumps(typed, sort_keys=True)] += 1
    return found


def whole(like: Cdr) -> dict[str, str]:
    """The files of an uninterrupted run, made without any server."""
    numbers = [int(one) for one in like.options[1:6:2]]
    place = like.folder / "whole"
    start = datetime(like.year, 1, 1, tzinfo=UTC)
    options = Options(numbers[0], numbers[1], place, start, line_count=numbers[2])
    job.run(options, threading.Event())
    return {path.name: path.read_text() for path in sorted(place.glob("cdr_*"))}


def each_once(one: Cdr, expected: dict[str, str]) -> None:
    """Files, server and topics hold what an uninterrupted run gives."""
    assert one.files() == expected
    assert not one.hidden()
    if one.sftp:
        assert one.uploaded() == expected
    if one.kafka:
        assert one.messages() == {kind: records(expected, kind) for kind in KINDS}


def committed(server: Kafka, topic: str) -> Iterator[bytes]:
    """What a reader of committed messages sees, up to the end as all see it."""
    settings = {"group.id": "check", "enable.partition.eof": True, "log_level": 0}
    consumer = Consumer({"bootstrap.servers": server.address, **settings})
    parts = consumer.list_topics(topic, 20).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in parts])
    ended = 0
    while ended < len(parts):
        for one in consumer.consume(1000, 0.1):
            ended += one.error() is not None
            if one.error() is None:
                yield one.value()
    consumer.close()
