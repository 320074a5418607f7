"""Values of a cursor column as JSON, for offsets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydatastream.core.errors import ConfigError

_READ: dict[str, Callable[[str], Any]] = {
    "time": datetime.fromisoformat,
    "date": date.fromisoformat,
    "decimal": Decimal,
    "uuid": UUID,
    "bytes": bytes.fromhex,
}
_KINDS: dict[type, tuple[str, Callable[[Any], str]]] = {
    datetime: ("time", datetime.isoformat),
    date: ("date", date.isoformat),
    Decimal: ("decimal", str),
    UUID: ("uuid", str),
    bytes: ("bytes", bytes.hex),
}


def packed(value: Any) -> Any:
    """A value as JSON has it.

    >>> packed(Decimal("1.50")), packed(7)
    (['decimal', '1.50'], 7)
    """
    if isinstance(value, int | float | str):
        return value
    if type(value) not in _KINDS:
        what = f"a column of {type(value).__name__} values cannot be read in order"
        raise ConfigError(what, hint="another `cursor:` or `key:`: a number, a time, text")
    kind, write = _KINDS[type(value)]
    return [kind, write(value)]


def unpacked(value: Any) -> Any:
    """A value as the database has it."""
    return _READ[value[0]](value[1]) if isinstance(value, list) else value
