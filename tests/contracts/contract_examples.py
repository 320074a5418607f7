"""What the fixtures of the contracts are, for those who ask for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Check = Callable[..., None]
ForAll = Callable[..., None]
"""Tries a check on examples of strategies: `for_all(check, *strategies, share=1.0)`."""

NewStore = Callable[[], Path]
"""A directory for a checkpoint, another one each time."""
