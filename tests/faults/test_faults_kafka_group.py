"""Processes of one group share the partitions: nothing lost, nothing twice, whoever has them."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic
from fault_bugs import GROUPS
from fault_runs import Children
from test_faults_kafka import committed

from services.kafka import Kafka

PARTITIONS = 4
PIPELINE = """
name: {name}
source:
  type: kafka
  brokers: '{brokers}'
  topic: {name}
  group: {name}
  balance: true
  session_timeout: 2s
  schema: {{n: int}}
processor:
  - filter: n >= 0
output: {{type: kafka, brokers: '{brokers}', topic: {name}-out{more}}}
"""
PATIENCE = 90.0


class Group:
    """Processes that run one pipeline, and rows that come meanwhile."""

    def __init__(self, server: Kafka, children: Children, folder: Path, more: str = "") -> None:
        self.server, self._children, self._folder = server, children, folder
        self.name = f"group-{uuid.uuid4().hex[:6]}"
        self.pipeline = PIPELINE.format(name=self.name, brokers=server.address, more=more)
        wanted = [NewTopic(self.name, PARTITIONS, 1), NewTopic(self.out, 2, 1)]
        admin = self.admin()
        for done in admin.create_topics(wanted).values():
            done.result(20)
        self.pids: list[int] = []
        self.partitions, self.put, self._places = PARTITIONS, 0, 0
        self._over = threading.Event()
        self._feeding = threading.Thread(target=self._feed)

    @property
    def out(self) -> str:
        return f"{self.name}-out"

    def admin(self) -> AdminClient:
        """A new client: one that loses all brokers never finds the group again."""
        return AdminClient({"bootstrap.servers": self.server.address, "log_level": 0})

    def start(self, **how: object) -> int:
        """One process more."""
        self._places += 1
        place = self._folder / str(self._places)
        place.mkdir()
        (place / "pipeline.yaml").write_text(self.pipeline)
        pid = self._children.start(place, options=["--interval", "100ms"], **how)
        self.pids.append(pid)
        return pid

    def end(self, pid: int, number: signal.Signals = signal.SIGTERM) -> int | None:
        """End a process; its exit code."""
        self.pids.remove(pid)
        os.kill(pid, number)
        return self._children.wait(pid)

    def close(self) -> None:
        self._over.set()
        with suppress(RuntimeError):
            self._feeding.join()
        for pid in list(self.pids):
            with suppress(ProcessLookupError):
                self.end(pid, signal.SIGKILL)

    def feed(self) -> None:
        """From now on rows come, to all partitions in turn."""
        self._feeding.start()

    def _feed(self) -> None:
        with self.producer() as producer:
            while not self._over.wait(0.01):
                with suppress(KafkaException):
                    self.put_some(producer)

    @contextmanager
    def producer(self) -> Iterator[Producer]:
        """It keeps what the broker does not hear yet; at the end all has come."""
        sure = {"enable.idempotence": True, "log_level": 0}
        producer = Producer({"bootstrap.servers": self.server.address, **sure})
        yield producer
        assert producer.flush(60) == 0

    def put_some(self, producer: Producer) -> None:
        """Rows for all partitions in turn."""
        known = len(producer.list_topics(self.name, timeout=20).topics[self.name].partitions)
        for _ in range(5):
            producer.produce(self.name, b'{"n":%d}' % self.put, partition=self.put % known)
            self.put += 1
        producer.flush(20)

    def shares(self) -> list[int]:
        """How many partitions each member has, the most first."""
        admin = self.admin()
        try:
            described = admin.describe_consumer_groups([self.name])[self.name].result(20)
        except (KafkaException, TimeoutError):
            return []
        if described.state.name != "STABLE":
            return []
        owned = [len(one.assignment.topic_partitions) for one in described.members]
        return sorted(owned, reverse=True)

    def until_shared(self, *shares: int) -> None:
        """Wait until each has so many."""
        wait(lambda: self.shares() == list(shares), lambda: f"{self.shares()}, {self.told()}")

    def found(self) -> Counter[int]:
        """What a reader of committed messages sees."""
        return Counter(row["n"] for row in committed(self.server, self.out))

    def check(self, *, once: bool = True) -> None:
        """Wait until all has arrived, perhaps once, and the group has nothing left to read."""
        self._over.set()
        self._feeding.join()
        wait(lambda: self.read() == self.put, lambda: f"{self.read()}, {self.told()}")
        wait(lambda: len(self.found()) == self.put, lambda: f"{len(self.found())}, {self.told()}")
        found = self.found()
        twice = {n: times for n, times in found.items() if times > 1}
        assert not (once and twice), f"{len(twice)} of {self.put}: {self.told()}"
        assert sorted(found) == list(range(self.put)), self.told()

    def read(self) -> int:
        """How far the group is, as tools see it: the sum over all partitions; -1: not known."""
        admin = self.admin()
        asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(self.name)])
        try:
            places = asked[self.name].result(20).topic_partitions or []
        except (KafkaException, TimeoutError) as error:
            print(f"the group's offsets are not told: {error!r}")
            return -1
        return sum(max(one.offset, 0) for one in places)

    def grow(self, partitions: int) -> None:
        admin, wanted = self.admin(), [NewPartitions(self.name, partitions)]
        admin.create_partitions(wanted)[self.name].result(20)
        self.partitions = partitions

    def told(self) -> str:
        places = sorted(self._folder.glob("*/stderr.txt"))
        return "\n".join(f"{one.parent.name}: {one.read_text()}" for one in places)


def wait(until: Callable[[], bool], told: Callable[[], str]) -> None:
    over = time.monotonic() + PATIENCE
    while not until():
        assert time.monotonic() < over, told()
        time.sleep(0.1)


@pytest.fixture
def group(kafka_server: Kafka, children: Children, tmp_path: Path) -> Iterator[Group]:
    made = Group(kafka_server, children, tmp_path, ", transaction_timeout: 3s")
    yield made
    made.close()


def test_processes_come_and_go_and_partitions_are_added(group: Group) -> None:
    """Each row comes once, and a process that is stopped gives back its part at once."""
    come_and_go(group)


def come_and_go(group: Group, bug: str | None = None) -> None:
    first, second = group.start(bug=bug), group.start(bug=bug)
    group.until_shared(2, 2)
    group.feed()
    third = group.start(bug=bug)
    group.until_shared(2, 1, 1)
    assert group.end(third) == 0, group.told()
    group.until_shared(2, 2)
    group.grow(6)
    group.until_shared(3, 3)
    group.check()
    assert [group.end(first), group.end(second)] == [0, 0], group.told()
    assert group.found().total() == group.put


@pytest.mark.parametrize(
    "delivery",
    ["exactly_once", pytest.param("at_least_once", marks=pytest.mark.slow)],
)
def test_processes_are_killed(group: Group, long: bool, delivery: str) -> None:
    """At random moments while rows come; who is started again, or is left, goes on."""
    group.pipeline += f"delivery: {delivery}\n"
    dice = random.Random(7)
    group.start(), group.start()
    group.until_shared(2, 2)
    group.feed()
    for _ in range(30 if long else 2):
        time.sleep(dice.uniform(0, 1.5))
        group.end(dice.choice(group.pids), signal.SIGKILL)
        if len(group.pids) < 2:
            group.start()
            group.until_shared(2, 2)
    group.check(once=delivery == "exactly_once")
    print(f"{group.put} rows")


@pytest.mark.slow
def test_the_broker_is_killed(group: Group) -> None:
    """Twice, with what it knows of the group and of open transactions."""
    group.start(), group.start()
    group.until_shared(2, 2)
    group.feed()
    for _ in range(2):
        time.sleep(0.5)
        group.server.kill()
        group.server.start()
    group.check()


@pytest.mark.slow
def test_the_broker_is_killed_while_no_rows_come(group: Group) -> None:
    """Three times: the process outlives it, and so does what its client knows of the group."""
    group.pipeline = group.pipeline.replace("session_timeout: 2s", "session_timeout: 30s")
    group.start()
    group.until_shared(4)
    for _ in range(3):
        with group.producer() as producer:
            group.put_some(producer)
        wait(lambda: group.read() == group.put, group.told)
        group.server.kill()
        group.server.start()
    group.feed()
    group.check()


@pytest.mark.parametrize(
    "point", ["kafka.begun", "kafka.carried", pytest.param("kafka.sent", marks=pytest.mark.slow)]
)
def test_one_that_wakes_up_cannot_publish_what_others_have_read(group: Group, point: str) -> None:
    """It halts inside a transaction until all is the other's, and then goes on.

    Where the broker does not know of the transaction yet, only the claim is refused.
    """
    woken = group.start(fault=f"{point}:kill:20", halts=True)
    group.start()
    group.until_shared(2, 2)
    group.feed()
    group.until_shared(4)
    before = group.put
    wait(lambda: group.read() > before, group.told)
    os.kill(woken, signal.SIGCONT)
    group.until_shared(2, 2)
    group.check()
    assert "begins again" in group.told()


def killed_between(group: Group, bug: str | None) -> None:
    """One dies when the transaction holds its claim, and the other goes on from there."""
    group.start(bug=bug, fault="kafka.carried:kill:20"), group.start()
    group.until_shared(2, 2)
    group.feed()
    group.until_shared(4)
    group.check()


def handed_over(group: Group, bug: str | None) -> None:
    """What is let go in time is never claimed too late."""
    come_and_go(group, bug)
    assert "begins again" not in group.told()


SCENARIOS = {"nothing_let_go": handed_over, "claimed_before": killed_between}


@pytest.mark.slow
@pytest.mark.parametrize("bug", GROUPS)
def test_a_seeded_bug_is_caught(group: Group, bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "PATIENCE", 20.0)
    with pytest.raises(AssertionError):
        SCENARIOS[bug](group, bug)


@pytest.mark.slow
@pytest.mark.parametrize("bug", GROUPS)
def test_without_a_bug_the_same_passes(group: Group, bug: str) -> None:
    SCENARIOS[bug](group, None)
