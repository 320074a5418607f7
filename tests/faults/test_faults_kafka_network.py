"""A pipeline from Kafka to Kafka while the network, or the broker, misbehaves: every row once."""

from __future__ import annotations

import os
import shutil
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fault_runs import Children
from test_faults_kafka import (
    KEPT,
    VALUES,
    arrived,
    case_of,
    committed,
    counted,
    made,
    put,
)

from services.kafka import Kafka
from services.server import LOOPBACK
from services.toxiproxy import Proxy, Toxiproxy

Trouble = Callable[[Kafka, Proxy], None]
PAUSE = 2.0
"""Seconds a trouble lasts."""


@pytest.fixture
def proxy(kafka_server: Kafka, toxiproxy_server: Toxiproxy) -> Iterator[Proxy]:
    """The way that clients of the detour are sent by the broker itself."""
    proxy = toxiproxy_server.before(kafka_server)
    yield proxy
    proxy.remove()


def late(_: Kafka, proxy: Proxy) -> None:
    proxy.latency(300, 200)


def broken(_: Kafka, proxy: Proxy) -> None:
    proxy.reset_after(3000)


def silent(_: Kafka, proxy: Proxy) -> None:
    proxy.black_hole()


def reset(_: Kafka, proxy: Proxy) -> None:
    proxy.reset()


def gone(_: Kafka, proxy: Proxy) -> None:
    proxy.cut()


def frozen(server: Kafka, _: Proxy) -> None:
    server.pause()


SHORT = [broken, silent]
LONG = [late, reset, gone, frozen]


@pytest.mark.parametrize(
    "trouble", [*SHORT, *(pytest.param(one, marks=pytest.mark.slow) for one in LONG)]
)
def test_trouble_while_a_pipeline_runs(
    trouble: Trouble, kafka_server: Kafka, proxy: Proxy, children: Children, tmp_path: Path
) -> None:
    place, topic, pid = started(kafka_server, children, tmp_path)
    out = (place / "topic").read_text()
    try:
        for third in range(3):
            put(kafka_server, topic, VALUES[third::3])
            if third < 2:
                time.sleep(0.5)
                trouble(kafka_server, proxy)
                time.sleep(PAUSE)
                heal(kafka_server, proxy)
        found = arrived(kafka_server, out)
    finally:
        os.kill(pid, signal.SIGTERM)
        code = children.wait(pid)
    told = (place / "stderr.txt").read_text()
    assert found == counted(iter(KEPT)), told
    assert code == 0, told
    assert counted(committed(kafka_server, out)) == counted(iter(KEPT))


def heal(server: Kafka, proxy: Proxy) -> None:
    server.resume()
    proxy.heal()
    proxy.mend()


def started(server: Kafka, children: Children, folder: Path) -> tuple[Path, str, int]:
    """A pipeline without end that reaches the broker by the detour only."""
    topic = f"net-{uuid.uuid4().hex[:6]}"
    made(server, topic)
    case = case_of(server, topic, "kafka-kafka")
    detour = (server.address, f"{LOOPBACK}:{server.outside}")
    source = case.source.replace(" stop: latest,", "").replace(*detour)
    live = replace(case, source=source, output=case.output.replace(*detour))
    place = live.prepare(folder / "live")
    return place, topic, children.start(place)


def test_an_instance_that_wakes_up_cannot_write(
    kafka_server: Kafka, children: Children, tmp_path: Path
) -> None:
    """Frozen, its work done by another one with a copy of the checkpoint; then it goes on."""
    topic = f"woken-{uuid.uuid4().hex[:6]}"
    made(kafka_server, topic)
    case = case_of(kafka_server, topic, "kafka-kafka")
    endless = case.source.replace(" stop: latest,", "")
    place = replace(case, source=endless).prepare(tmp_path / "first")
    out = (place / "topic").read_text()
    put(kafka_server, topic, VALUES[:300])
    first = children.start(place)
    wanted = len([one for one in VALUES[:300] if one in KEPT])
    settled(kafka_server, out, wanted)
    os.kill(first, signal.SIGSTOP)
    second_place = copied(place, tmp_path / "second")
    put(kafka_server, topic, VALUES[300:])
    second = children.start(second_place)
    assert arrived(kafka_server, out) == counted(iter(KEPT))
    os.kill(first, signal.SIGCONT)
    assert children.wait(first) not in (0, None)
    assert "another instance writes" in (place / "stderr.txt").read_text()
    os.kill(second, signal.SIGTERM)
    assert children.wait(second) == 0
    assert counted(committed(kafka_server, out)) == counted(iter(KEPT))


def settled(server: Kafka, topic: str, rows: int) -> None:
    end = time.monotonic() + 60
    while counted(committed(server, topic)).total() < rows:
        assert time.monotonic() < end
        time.sleep(0.1)
    time.sleep(1)  # the commit of the checkpoint follows


def copied(place: Path, other: Path) -> Path:
    """The same pipeline elsewhere, with the checkpoint as it stands."""
    shutil.copytree(place, other)
    return other


def test_two_processes_of_one_group_share_a_topic_by_its_partitions(
    kafka_server: Kafka, children: Children, tmp_path: Path
) -> None:
    """Each reads the partitions it was told to, also after it was killed: every row comes once."""
    topic = f"shared-{uuid.uuid4().hex[:6]}"
    made(kafka_server, topic)
    case = case_of(kafka_server, topic, "kafka-kafka")
    mine = ["stop: latest,", "group: both, partitions: [{}],"]
    parts = [replace(case, source=case.source.replace(mine[0], mine[1].format(n))) for n in (0, 1)]
    places = [one.prepare(tmp_path / f"part{n}") for n, one in enumerate(parts)]
    out = (places[0] / "topic").read_text()
    text = (places[1] / "pipeline.yaml").read_text()
    other = (places[1] / "topic").read_text()
    (places[1] / "pipeline.yaml").write_text(text.replace(f"topic: {other}", f"topic: {out}"))
    put(kafka_server, topic, VALUES[:300])
    pids = [children.start(place) for place in places]
    os.kill(pids[1], signal.SIGKILL)
    children.wait(pids[1])
    put(kafka_server, topic, VALUES[300:])
    pids[1] = children.start(places[1])
    found = arrived(kafka_server, out)
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    assert [children.wait(pid) for pid in pids] == [0, 0]
    assert found == counted(iter(KEPT))
    assert counted(committed(kafka_server, out)) == counted(iter(KEPT))
