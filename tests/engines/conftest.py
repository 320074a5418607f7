"""Each test starts with sinks that remember nothing."""

from __future__ import annotations

import pytest
from engine_parts import KeepSink


@pytest.fixture(autouse=True)
def _fresh_stores() -> None:
    KeepSink.stores.clear()
