"""The library under the name of the product: `from PyDataStream import KafkaReader, RedisWriter`.

A name of its own, and no second package: file systems that know no capitals see no clash.
"""

from __future__ import annotations

from typing import Any

import pydatastream
from pydatastream import __all__ as __all__


def __getattr__(name: str) -> Any:
    """The public names of the library, each loaded at its first use."""
    return getattr(pydatastream, name)


def __dir__() -> list[str]:
    return dir(pydatastream)
