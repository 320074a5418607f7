"""PyDataStream: real-time stream processing, declared once, in YAML or in Python."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydatastream.apps.data_processor import DataProcessor as DataProcessor
    from pydatastream.apps.kafka_reader import KafkaReader as KafkaReader
    from pydatastream.apps.redis_writer import RedisWriter as RedisWriter
    from pydatastream.apps.settings import load_config as load_config
    from pydatastream.core.errors import PdsError as PdsError
    from pydatastream.pipeline import Pipeline as Pipeline

_HOMES = {
    "Pipeline": "pydatastream.pipeline",
    "PdsError": "pydatastream.core.errors",
    "DataProcessor": "pydatastream.apps.data_processor",
    "KafkaReader": "pydatastream.apps.kafka_reader",
    "RedisWriter": "pydatastream.apps.redis_writer",
    "load_config": "pydatastream.apps.settings",
}
"""Where each public name lives; a module is imported when its name is first used."""

__all__ = [
    "DataProcessor",
    "KafkaReader",
    "PdsError",
    "Pipeline",
    "RedisWriter",
    "__version__",
    "load_config",
]


def __getattr__(name: str) -> Any:
    """Load a public name at its first use, so that importing the package costs nothing."""
    if name == "__version__":
        metadata = importlib.import_module("importlib.metadata")  # slow to load, seldom asked
        return metadata.version("pydatastreamprocessor")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES, "__version__"])
