"""Kafka that asks who comes: passwords, certificates, and what a user may do."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AclOperation, ResourceType
from kafka_topics import Topics, batches, numbers, rows

from pydatastream.connectors.kafka import KafkaSource
from pydatastream.connectors.kafka_sink import KafkaSink
from pydatastream.core.errors import ConfigError, RetryLater
from pydatastream.formats.json import JsonFormat
from services.kafka import USERS, Kafka
from services.server import LOOPBACK

ALICE = {"user": "alice", "password": USERS["alice"]}
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


@pytest.fixture(scope="module")
def topic(kafka_server: Kafka) -> str:
    """A topic with three messages; alice may read and write it, and keep markers."""
    name = f"secured-{uuid.uuid4().hex[:6]}"
    topics = Topics(kafka_server.address)
    topics.make(name)
    topics.put(name, numbers(0, 3))
    for user in ("alice", "CN=127.0.0.1"):
        topics.allow(user, name, AclOperation.READ, AclOperation.WRITE)
    return name


def options(server: Kafka, listener: str, **more: Any) -> dict[str, Any]:
    ca = {"tls": {"ca": str(server.folder / "cert.pem")}} if listener != "sasl" else {}
    return {
        "brokers": f"{LOOPBACK}:{server.secured[listener]}",
        "format": JsonFormat(),
        **ca,
        **more,
    }


def source(server: Kafka, listener: str, topic: str, **more: Any) -> KafkaSource:
    return KafkaSource(**options(server, listener, topic=topic, stop="latest", **more))


def read(found: KafkaSource) -> list[int]:
    (partition,) = found.partitions()
    return rows(batches(found, partition))["n"].to_list()


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("listener", ["sasl", "both"])
def test_who_has_a_password_reads(
    kafka_server: Kafka, topic: str, listener: str, mechanism: str
) -> None:
    sasl = {**ALICE, "mechanism": mechanism}
    assert read(source(kafka_server, listener, topic, sasl=sasl)) == [0, 1, 2]


def test_who_has_a_certificate_reads(kafka_server: Kafka, topic: str) -> None:
    files = {name: str(kafka_server.folder / f"{name}.pem") for name in ("cert", "key")}
    tls = {"ca": files["cert"], **files}
    assert read(source(kafka_server, "mutual", topic, tls=tls)) == [0, 1, 2]
    with pytest.raises((ConfigError, RetryLater), match="kafka at"):
        source(kafka_server, "mutual", topic).check()


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_wrong_password_is_told_at_once(kafka_server: Kafka, topic: str, mechanism: str) -> None:
    wrong = {**ALICE, "password": "wrong", "mechanism": mechanism}
    with pytest.raises(ConfigError, match=r"uthentication.*\n.*check `sasl:`"):
        source(kafka_server, "sasl", topic, sasl=wrong).check()


def test_a_certificate_that_nobody_vouches_for_is_refused(kafka_server: Kafka, topic: str) -> None:
    with pytest.raises(ConfigError, match=r"\n.*check `tls:`"):
        source(kafka_server, "both", topic, sasl=ALICE, tls=True).check()
    insecure = {"insecure": True}
    assert read(source(kafka_server, "both", topic, sasl=ALICE, tls=insecure)) == [0, 1, 2]


def test_what_a_user_may_not_do_is_told(kafka_server: Kafka, topic: str) -> None:
    nobody = {"user": "nobody", "password": USERS["nobody"]}
    with pytest.raises(ConfigError, match=topic):
        source(kafka_server, "sasl", topic, sasl=nobody).check()
    Topics(kafka_server.address).allow("nobody", topic, AclOperation.DESCRIBE)
    with pytest.raises(ConfigError, match="this user may not read"):
        source(kafka_server, "sasl", topic, sasl=nobody).check()
    sink = KafkaSink(**options(kafka_server, "sasl", topic=topic, sasl=nobody))
    with pytest.raises(ConfigError, match="this user may not write"):
        sink.check()


PIPELINE = """
name: secured
source: {{type: kafka, brokers: '{brokers}', topic: {topic}, format: json, schema: {{n: int}},
         sasl: {{user: alice, password: '{password}'}}}}
output: {{type: 'null'}}
"""


def test_pds_check_says_in_one_line_what_is_wrong(
    kafka_server: Kafka, topic: str, tmp_path: Path
) -> None:
    brokers = f"{LOOPBACK}:{kafka_server.secured['sasl']}"
    right = {"topic": topic, "password": USERS["alice"], "brokers": brokers}
    file = tmp_path / "pipeline.yaml"
    assert "fine" in checked(file, right).stdout
    said = checked(file, right | {"password": "wrong"})
    assert said.returncode
    (line,) = [one for one in said.stderr.splitlines() if brokers in one]
    assert "uthentication" in line


def checked(file: Path, places: dict[str, str]) -> subprocess.CompletedProcess[str]:
    file.write_text(PIPELINE.format(**places))
    command = [sys.executable, "-m", "pydatastream", "check", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


SHARED = """
name: {topic}
source: {{type: kafka, topic: {topic}, group: {topic}, balance: true, schema: {{n: int}}, {how}}}
output: {{type: kafka, topic: {topic}-out, {how}}}
"""


@pytest.mark.parametrize("listener", ["mutual", "both"])
def test_a_group_is_joined_and_told_in_transactions(
    kafka_server: Kafka, topic: str, listener: str, tmp_path: Path
) -> None:
    topics, folder = Topics(kafka_server.address), kafka_server.folder
    own = topics.make(f"{topic}-{listener}")
    out = topics.make(f"{own}-out")
    who = "alice" if listener == "both" else "CN=127.0.0.1"
    topics.allow(who, own, AclOperation.READ)
    topics.allow(who, out, AclOperation.WRITE)
    topics.allow(who, own, AclOperation.READ, kind=ResourceType.GROUP)
    topics.allow(who, "*", AclOperation.WRITE, kind=ResourceType.TRANSACTIONAL_ID)
    topics.put(own, numbers(0, 5))
    files = f"ca: {folder}/cert.pem" + (
        f", cert: {folder}/cert.pem, key: {folder}/key.pem" if listener == "mutual" else ""
    )
    how = f"brokers: '{LOOPBACK}:{kafka_server.secured[listener]}', tls: {{{files}}}"
    if listener == "both":
        how += f", sasl: {{user: alice, password: '{USERS['alice']}'}}"
    file = tmp_path / "pipeline.yaml"
    file.write_text(SHARED.format(topic=own, how=how))
    command = [sys.executable, "-m", "pydatastream", "run", "-q", str(file)]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as running:
        over = time.monotonic() + 60
        while len(topics.committed(out)) < 5 and time.monotonic() < over and running.poll() is None:
            time.sleep(0.1)
        running.terminate()
        told = running.communicate(timeout=60)[1]
    assert topics.committed(out) == numbers(0, 5), told
    assert running.returncode == 0, told
