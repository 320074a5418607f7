"""The client library, loaded where a connection is opened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pydatastream.core.errors import ConfigError
from pydatastream.parts.kafka.cluster import KafkaCluster, telling

T = TypeVar("T")


def client() -> Any:
    """The client library; `ConfigError` where it is not installed."""
    try:
        import confluent_kafka.admin
    except ImportError as error:
        hint = "pip install 'pydatastreamprocessor[kafka]'"
        raise ConfigError(f"kafka needs confluent-kafka: {error}", hint=hint) from None
    return confluent_kafka


def made(kind: Callable[[dict[str, Any]], T], cluster: KafkaCluster, **settings: Any) -> T:
    """A consumer, a producer or an admin; `ConfigError` for settings that cannot be."""
    try:
        return kind(cluster.settings(**settings))
    except client().KafkaException as error:
        raise ConfigError(f"{cluster.place}: {error.args[0].str()}") from None


def acting(cluster: KafkaCluster, act: Callable[..., T], *given: Any) -> T:
    """Do it; errors of the client become instructions."""
    try:
        return act(*given)
    except client().KafkaException as error:
        raise telling(error.args[0], cluster.place) from None
