"""Expected rows and those that came: what is missing, and what is too much."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import polars as pl

from pydatastream.core.errors import ConfigError, nearest
from pydatastream.core.times import micros
from pydatastream.testing.cases import Expected, Row

CLOSE = 1e-9
"""Numbers that differ by less than this, relatively or absolutely, are equal."""


def differences(
    what: str, expected: Expected, came: pl.DataFrame, *, ordered: bool = False
) -> list[str]:
    """Lines that say how the rows differ; none if they are the same.

    Only the columns are compared that some expected row names. Rows may come in any order unless
    it is asked for.
    """
    if isinstance(expected, int):
        if came.height == expected:
            return []
        shown = [f"  + {_shown(row)}" for row in came.to_dicts()[:10]]
        return [_head(what, expected, came.height), *shown]
    return _compared(what, expected, came, ordered)


def _compared(what: str, expected: list[Row], came: pl.DataFrame, ordered: bool) -> list[str]:
    columns = list(dict.fromkeys(str(key) for row in expected for key in row)) or came.columns
    for column in columns:
        if column not in came.columns:
            hint = nearest(column, came.columns)
            return [f"{what}: there is no column {column!r}: {hint}"]
    schema = came.select(columns).schema
    rows = came.select(columns).to_dicts()
    wanted = [{name: _typed(row.get(name), schema[name]) for name in columns} for row in expected]
    lines = _in_order(wanted, rows) if ordered else _in_any_order(wanted, rows)
    return [_head(what, len(wanted), len(rows)), *lines] if lines else []


def _head(what: str, expected: int, came: int) -> str:
    return f"{what}: {expected} expected, {came} came"


def _in_order(wanted: Sequence[Row], rows: Sequence[Row]) -> list[str]:
    lines = []
    for number in range(max(len(wanted), len(rows))):
        one, other = wanted[number : number + 1], rows[number : number + 1]
        if not (one and other and same(one[0], other[0])):
            lines += [f"  row {number + 1}", *_lines("-", one), *_lines("+", other)]
    return lines


def _in_any_order(wanted: Sequence[Row], rows: Sequence[Row]) -> list[str]:
    left, missing = list(rows), []
    for row in wanted:
        at = next((n for n, other in enumerate(left) if same(row, other)), None)
        if at is None:
            missing.append(row)
        else:
            left.pop(at)
    lines: list[str] = []
    for row in missing:
        like = max(left, key=lambda other, row=row: _alike(row, other), default=None)  # type: ignore[misc]
        lines += _lines("-", [row])
        if like is not None and _alike(row, like):
            left.remove(like)
            lines += _lines("+", [like])
    return lines + _lines("+", left)


def _alike(one: Row, other: Row) -> int:
    return sum(same(value, other[name]) for name, value in one.items())


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, numbers up to rounding.

    >>> same(0.1 + 0.2, 0.3), same([1, None], [1.0, None]), same("1", 1)
    (True, True, False)
    """
    match one, other:
        case (bool() | None, _) | (_, bool() | None):
            return one is other
        case int() | float(), int() | float():
            both_nan = math.isnan(one) and math.isnan(other)
            return both_nan or math.isclose(one, other, rel_tol=CLOSE, abs_tol=CLOSE)
        case list(), list():
            return len(one) == len(other) and all(map(same, one, other))
        case dict(), dict():
            return all(same(value, other.get(name)) for name, value in one.items())
    return bool(one == other)


_READ: list[tuple[type[pl.DataType], Callable[[Any], Any]]] = [
    (pl.Datetime, lambda text: _utc(datetime.fromisoformat(text))),
    (pl.Date, date.fromisoformat),
    (pl.Duration, lambda text: timedelta(microseconds=micros(text))),
]


def _typed(value: Any, dtype: pl.DataType) -> Any:
    """An expected value in the type of its column; as it is, if it has no such form."""
    if isinstance(value, list) and isinstance(dtype, pl.List):
        return [_typed(one, dtype.inner) for one in value]  # type: ignore[arg-type]
    if isinstance(value, int | float) and isinstance(dtype, pl.Decimal):
        return Decimal(str(value))
    read = next((read for kind, read in _READ if isinstance(dtype, kind)), None)
    if read is None or not isinstance(value, str):
        return value
    try:
        return read(value)
    except (ValueError, ConfigError):
        return value


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _lines(sign: str, rows: Iterable[Row]) -> list[str]:
    return [f"  {sign} {_shown(row)}" for row in rows]


def _shown(row: Row) -> str:
    return "{" + ", ".join(f"{name}: {_plain(value)}" for name, value in row.items()) + "}"


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return _utc(value).isoformat().replace("+00:00", "Z")
    if isinstance(value, Mapping | list):
        return orjson.dumps(value, default=str).decode()
    return "null" if value is None else str(value)
