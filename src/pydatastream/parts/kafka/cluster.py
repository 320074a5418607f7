"""How a Kafka cluster is reached, and what its errors tell the engine to do."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, SecretStr

from pydatastream.core.component import Component
from pydatastream.core.described import Described
from pydatastream.core.errors import ConfigError, Fenced, PdsError, RetryLater, StopError
from pydatastream.parts.network.tls import Tls

if TYPE_CHECKING:
    from confluent_kafka import KafkaError


_log = logging.getLogger("pydatastream.kafka")
_log.setLevel(logging.CRITICAL + 1)
"""The client's own log, silent unless its level is set: what counts comes as an error."""


class Sasl(Described):
    """Who we are, for brokers that ask."""

    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    """How the password is proven; PLAIN sends it, so use it with TLS only."""
    user: str
    """The name."""
    password: SecretStr
    """The password, such as ${KAFKA_PASSWORD}."""


class KafkaCluster(Component):
    """A cluster, and how to get in."""

    brokers: str = Field(min_length=1)
    """Where to find the cluster: "host:port", several with commas between."""
    tls: Tls | bool = False
    """Encrypt the connection: true, or {ca, cert, key, key_password, insecure}."""
    sasl: Sasl | None = None
    """Who we are: {mechanism: SCRAM-SHA-512, user: me, password: "${KAFKA_PASSWORD}"}."""

    @property
    def place(self) -> str:
        """The cluster as errors name it."""
        return f"kafka at {self.brokers}"

    def settings(self, **more: Any) -> dict[str, Any]:
        """The client's settings: these, and whatever connecting needs."""
        secured = {True: "SASL_SSL" if self.sasl else "SSL", False: "SASL_PLAINTEXT"}
        protocol = secured[bool(self.tls)] if self.tls or self.sasl else "PLAINTEXT"
        return {
            "bootstrap.servers": self.brokers,
            "client.id": "pydatastream",
            "security.protocol": protocol,
            "reconnect.backoff.max.ms": 1000,
            "logger": _log,
            **_tls(self.tls),
            **_sasl(self.sasl),
            **more,
        }


def _tls(tls: Tls | bool) -> dict[str, Any]:
    if isinstance(tls, bool):
        return {}
    tls.expect_files()
    paths = {"ssl.ca.location": tls.ca, "ssl.certificate.location": tls.cert}
    given = {key: path for key, path in paths.items() if path}
    given |= {"ssl.key.location": tls.key} if tls.key else {}
    given |= {"ssl.key.password": tls.key_password.get_secret_value()} if tls.key_password else {}
    return given | ({"enable.ssl.certificate.verification": False} if tls.insecure else {})


def _sasl(sasl: Sasl | None) -> dict[str, Any]:
    if sasl is None:
        return {}
    password = sasl.password.get_secret_value()
    names = {"sasl.mechanism": sasl.mechanism, "sasl.username": sasl.user}
    return {**names, "sasl.password": password}


_HINTS = {
    "_AUTHENTICATION": "check `sasl:` mechanism, user and password, and whether `tls:` is meant",
    "SASL_AUTHENTICATION_FAILED": "check `sasl:` mechanism, user and password",
    "_SSL": "check `tls:` ca, cert and key, and that this port speaks TLS",
    "TOPIC_AUTHORIZATION_FAILED": "let this user read or write the topic (kafka-acls)",
    "GROUP_AUTHORIZATION_FAILED": "let this user read the group (kafka-acls)",
    "CLUSTER_AUTHORIZATION_FAILED": "let this user do so on the cluster (kafka-acls)",
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED": "let this user write the transactional id pds-*",
    "UNKNOWN_TOPIC_OR_PART": "check `topic:`; Kafka shows a topic only to who may see it",
    "_UNKNOWN_TOPIC": "check `topic:`; Kafka shows a topic only to who may see it",
    "_UNKNOWN_PARTITION": "check `partitions:`",
    "MSG_SIZE_TOO_LARGE": "the topic takes less: check its max.message.bytes",
    "INVALID_RECORD": "a compacted topic needs `key:`",
    "INVALID_TXN_TIMEOUT": "a shorter `transaction_timeout:` than the broker's most",
}
"""Errors of a wrong description, and what to look at."""

_FENCED = ("_FENCED", "PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH")
_PASSING = (
    *("_TRANSPORT", "_ALL_BROKERS_DOWN", "_TIMED_OUT", "_RESOLVE", "_MSG_TIMED_OUT"),
    *("_TIMED_OUT_QUEUE", "_WAIT_COORD", "_WAIT_CACHE", "_PURGE_QUEUE", "_PURGE_INFLIGHT"),
    *("REQUEST_TIMED_OUT", "NETWORK_EXCEPTION", "BROKER_NOT_AVAILABLE", "LEADER_NOT_AVAILABLE"),
    *("NOT_LEADER_FOR_PARTITION", "NOT_ENOUGH_REPLICAS", "NOT_ENOUGH_REPLICAS_AFTER_APPEND"),
    *("COORDINATOR_LOAD_IN_PROGRESS", "COORDINATOR_NOT_AVAILABLE", "NOT_COORDINATOR"),
    *("OFFSET_NOT_AVAILABLE", "FENCED_LEADER_EPOCH", "UNKNOWN_LEADER_EPOCH"),
    *("CONCURRENT_TRANSACTIONS", "KAFKA_STORAGE_ERROR", "REPLICA_NOT_AVAILABLE"),
    "UNSTABLE_OFFSET_COMMIT",
)
"""Errors that pass when the cluster is well again."""


def telling(error: KafkaError, place: str) -> PdsError:
    """The error as an instruction: wait, mend the description, or stop."""
    name, what = error.name(), f"{place}: {error.str()}"
    if name in _HINTS:
        return ConfigError(what, hint=_HINTS[name])
    if name in _FENCED:
        return Fenced(f"{what}: another instance writes with our name", hint="stop one of the two")
    if name in _PASSING or error.retriable():
        return RetryLater(what)
    return StopError(what)
