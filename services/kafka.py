"""Apache Kafka, one KRaft node, from Maven's artifacts; needs Java 17."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from services.install import jars, made, program, run
from services.server import LOOPBACK, Server, free_port

VERSION = "4.3.1"
ARTIFACTS = (
    f"org.apache.kafka:kafka_2.13:{VERSION}",
    f"org.apache.kafka:kafka-tools:{VERSION}",
    "org.slf4j:slf4j-simple:1.7.36",
)
CLUSTER = "pydatastream-testing00"
STARTED = b"Kafka Server started"

PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller},{secured}
advertised.listeners=PLAINTEXT://{host}:{port},{advertised}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,{protocols}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
ssl.keystore.type=PEM
ssl.keystore.location={folder}/both.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/cert.pem
listener.name.mutual.ssl.client.auth=required
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
log.cleaner.dedupe.buffer.size=8388608
controlled.shutdown.enable=false
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
"""
"""One light node. With the default session timeout a restart after a kill waits 13 s, not 4.

Who comes without a name, on this machine, may do all; a user with a name what an ACL allows."""

SECURED = {"sasl": "SASL_PLAINTEXT", "both": "SASL_SSL", "tls": "SSL", "mutual": "SSL"}
"""Further listeners: with a password, with that and encrypted, encrypted, with certificates."""

DETOUR = {"detour": "PLAINTEXT"}
"""One that a proxy passes on to, and that sends clients back to where the proxy listens: a broker
tells its clients itself where to come."""

USERS = {"alice": "alice-secret", "nobody": "nobody-secret"}
"""Users and their passwords, by every mechanism."""

MODULE = "org.apache.kafka.common.security.{0}.{1}LoginModule required"

LIGHT = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


def java(*words: str) -> list[str]:
    """A command that runs a class of Kafka's jars."""
    libraries = jars("kafka", *ARTIFACTS)
    return ["java", *LIGHT, "-cp", f"{libraries}/*", *words]


class Kafka(Server):
    """A broker that is its own controller; topics are made at first use."""

    name = "kafka"
    start_seconds = 60.0

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.controller = free_port()
        self.secured = {name: free_port() for name in SECURED}
        self.behind, self.outside = free_port(), free_port()

    @classmethod
    def ensure(cls) -> None:
        program("java", "default-jre-headless")
        program("openssl", "openssl")
        jars("kafka", *ARTIFACTS)

    @property
    def properties(self) -> Path:
        """Its settings."""
        return self.folder / "server.properties"

    def prepare(self) -> None:
        data = self.folder / "data"
        places = {"host": LOOPBACK, "port": self.port, "controller": self.controller, "data": data}
        protocols = (f"{name.upper()}:{one}" for name, one in (SECURED | DETOUR).items())
        more = {
            "secured": _listeners(self.secured | {"detour": self.behind}),
            "advertised": _listeners(self.secured | {"detour": self.outside}),
            "protocols": ",".join(protocols),
        }
        text = PROPERTIES.format(**places, **more, folder=self.folder)
        self.properties.write_text("\n".join([text, *_logins()]))
        self._certify()
        shutil.copytree(made(f"kafka-formatted-{VERSION}", self._format), data)

    def _format(self, folder: Path) -> None:
        """Format our data, which takes seconds, and keep a copy."""
        tool = java("kafka.tools.StorageTool", "format", "-t", CLUSTER)
        scram = ("SCRAM-SHA-256", "SCRAM-SHA-512")
        users = [
            word
            for one in scram
            for name, password in USERS.items()
            for word in ("--add-scram", f"{one}=[name={name},password={password}]")
        ]
        run(*tool, *users, "-c", str(self.properties))
        data = self.folder / "data"
        (data / ".lock").unlink(missing_ok=True)
        shutil.move(data, folder)

    def _certify(self) -> None:
        """A certificate that vouches for itself: the server's, and a client's too."""
        names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
        key, cert = self.folder / "key.pem", self.folder / "cert.pem"
        out = ["-keyout", str(key), "-out", str(cert)]
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *out, *names)
        (self.folder / "both.pem").write_text(key.read_text() + cert.read_text())

    def command(self) -> list[str]:
        memory = ["-Xms256m", "-Xmx512m"]
        return java(*memory, "kafka.Kafka", str(self.properties))

    def ready(self) -> bool:
        return STARTED in self.log.read_bytes() and super().ready()

    def environment(self) -> dict[str, str]:
        return {"KAFKA_BROKERS": self.address}

    def command_of(self, tool: str, *arguments: str) -> list[str]:
        """The command of one of Kafka's own tools, by its class below the tools package."""
        where = ["--bootstrap-server", self.address]
        return java(f"org.apache.kafka.tools.{tool}", *where, *arguments)

    def tool(self, name: str, *arguments: str) -> str:
        """What one of Kafka's own tools prints."""
        return run(*self.command_of(name, *arguments))

    def create(self, topic: str, partitions: int = 1, **settings: str) -> None:
        """Make a topic."""
        config = [
            word for key, value in settings.items() for word in ("--config", f"{key}={value}")
        ]
        name = ["--topic", topic, "--partitions", str(partitions)]
        self.tool("TopicCommand", "--create", *name, *config)

    def messages(self, topic: str, count: int, seconds: int = 20) -> list[str]:
        """The first messages of a topic that are committed, by the console consumer."""
        limits = ["--max-messages", str(count), "--timeout-ms", str(seconds * 1000)]
        read = ["--from-beginning", "--isolation-level", "read_committed"]
        return self.tool("consumer.ConsoleConsumer", "--topic", topic, *read, *limits).splitlines()


def _listeners(ports: dict[str, int]) -> str:
    return ",".join(f"{name.upper()}://{LOOPBACK}:{port}" for name, port in ports.items())


def _logins() -> Iterator[str]:
    """How each listener that asks for a password knows users."""
    known = " ".join(f'user_{name}="{password}"' for name, password in USERS.items())
    modules = {"plain": f"{MODULE.format('plain', 'Plain')} {known};"}
    scram = f"{MODULE.format('scram', 'Scram')};"
    modules |= {"scram-sha-256": scram, "scram-sha-512": scram}
    for listener in ("sasl", "both"):
        for mechanism, module in modules.items():
            yield f"listener.name.{listener}.{mechanism}.sasl.jaas.config={module}"
