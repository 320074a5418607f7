"""What a component promises as a kind, and what one of them promises with its options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class _Varies:
    def __init__(self, usual: Any, of: Callable[[Any], Any]) -> None:
        self._usual, self._of = usual, of

    def __get__(self, component: Any, kind: type) -> Any:
        return self._usual if component is None else self._of(component)


def varies(usual: Any, of: Callable[[Any], Any]) -> Any:
    """A class attribute with a value of its own in each component.

    >>> class Door:
    ...     open = varies(True, lambda door: door.key is None)
    ...     key = "k"
    >>> Door.open, Door().open
    (True, False)
    """
    return _Varies(usual, of)
