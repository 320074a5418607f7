"""What a run shows while it waits for a system that is away, as a person at a terminal sees it."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from test_faults_kafka import VALUES, case_of, made, put

from services.kafka import Kafka

LONGEST = 60.0
CODE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Screen:
    """A run with a terminal of its own."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process, self._master, self._text = process, master, ""

    def until(self, shown: Callable[[str], object]) -> str:
        """The last table that was drawn whole, once it is as it should be."""
        end = time.monotonic() + LONGEST
        while time.monotonic() < end:
            self._read()
            *_, table, _ = ["", *self._text.split("rows in")]
            if "seconds" in table and shown(table):
                return table
        raise AssertionError(f"it is never shown: {self._text[-3000:]}")

    def _read(self) -> None:
        if select.select([self._master], [], [], 0.2)[0]:
            self._text += CODE.sub("", os.read(self._master, 65536).decode(errors="replace"))


@contextmanager
def screened(place: Path) -> Iterator[Screen]:
    """`pds run` in a folder, drawn on a wide terminal."""
    master, slave = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "pydatastream", "run", "pipeline.yaml"],
        cwd=place,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "200", "LINES": "40"},
        stdin=subprocess.DEVNULL,
        stderr=slave,
    )
    os.close(slave)
    try:
        yield Screen(process, master)
    finally:
        process.kill()
        process.wait()
        with suppress(OSError):
            os.close(master)


@pytest.mark.parametrize(
    "name", ["kafka-file", pytest.param("kafka-kafka", marks=pytest.mark.slow)]
)
def test_a_broker_that_is_away_is_named_until_it_is_back(
    name: str, kafka_server: Kafka, tmp_path: Path
) -> None:
    """Who is waited for stands there, and for how long already."""
    topic = f"away-{uuid.uuid4().hex[:6]}"
    made(kafka_server, topic)
    case = case_of(kafka_server, topic, name)
    endless = replace(case, source=case.source.replace(" stop: latest,", ""))
    waits = re.compile(rf"waiting for +kafka at {kafka_server.address}.*, (\d+) s\b")
    put(kafka_server, topic, VALUES[:300])
    with screened(endless.prepare(tmp_path / "live")) as screen:
        screen.until(lambda table: table.split()[0] == "300")
        kafka_server.kill()
        screen.until(lambda table: (found := waits.search(table)) and int(found[1]) > 2)
        kafka_server.start()
        put(kafka_server, topic, VALUES[300:])
        screen.until(lambda table: table.split()[0] == "600" and "waiting" not in table)
