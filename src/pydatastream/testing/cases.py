"""The tests of a pipeline file, read and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydatastream.config.declaration import Declared, names_of
from pydatastream.core.errors import ConfigError, nearest
from pydatastream.core.times import Micros
from pydatastream.pipeline import Pipeline

KEYS = ("name", "given", "expect", "late", "dead", "ordered")
LATE = "late"

Row = Mapping[str, Any]
Expected = int | list[Row]
"""So many rows, or just these."""


@dataclass(frozen=True, slots=True)
class Watermark:
    """No row older than this is expected."""

    at: Micros


@dataclass(frozen=True, slots=True)
class Case:
    """One test."""

    name: str
    given: Mapping[str, list[Row | Watermark]]
    """By source."""
    expect: Mapping[str, list[Row]]
    """By output."""
    late: Expected | None = None
    """None: none, but for those that the pipeline itself takes."""
    dead: Expected = 0
    ordered: bool = False

    def rows(self, source: str) -> list[Row]:
        """The rows that one source gives."""
        return [one for one in self.given.get(source, ()) if not isinstance(one, Watermark)]


def cases(pipeline: Pipeline) -> list[Case]:
    """The tests of a pipeline; `ConfigError` naming what is wrong with one."""
    return [read(pipeline, one, number) for number, one in enumerate(pipeline.declaration.tests, 1)]


def read(pipeline: Pipeline, test: Any, number: int = 1) -> Case:
    """One test as a pipeline file has it."""
    name = str(test.get("name", f"test {number}")) if isinstance(test, Mapping) else f"{number}"
    try:
        return _case(pipeline, test, name)
    except ConfigError as error:
        raise error.at(f"{pipeline.declaration.where or 'pipeline'} (test {name!r})") from None


def moment(text: Any) -> Micros:
    """A time as text, in microseconds; without a zone, UTC is meant."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        hint = '"2026-01-01T12:00:00Z"'
        raise ConfigError(f"{text!r} is no time", hint=f"ISO-8601: {hint}") from None
    zoned = found if found.tzinfo else found.replace(tzinfo=UTC)
    return round((zoned - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1e6)


def _case(pipeline: Pipeline, test: Any, name: str) -> Case:
    if not isinstance(test, Mapping):
        raise ConfigError("a test is a mapping with `given` and `expect`")
    for key in test:
        if key not in KEYS:
            raise ConfigError(f"a test has no key {key!r}", hint=nearest(str(key), KEYS))
    said = pipeline.declaration
    outputs = _names(said.outputs, "output") or [LATE]
    expect = _by_name(test.get("expect", {}), outputs, "expect", [LATE])
    late = expect.pop(LATE, None) if LATE not in outputs else None
    given = _by_name(test.get("given", []), _names(said.sources, "source"), "given")
    return Case(
        name,
        {source: [_entry(one) for one in rows] for source, rows in given.items()},
        expect,
        _expected(test, LATE, late),
        _expected(test, "dead", 0) or 0,
        bool(test.get("ordered", False)),
    )


def _names(nodes: Sequence[Declared[Any]], default: str) -> list[str]:
    return names_of(nodes, default)


def _by_name(
    value: Any, names: Sequence[str], what: str, also: Sequence[str] = ()
) -> dict[str, list[Any]]:
    """Rows by the name of a node; a list belongs to the only one."""
    if isinstance(value, list):
        if len(names) > 1:
            raise ConfigError(f"`{what}` of which?", hint=f"{what}: {{{names[0]}: [...], ...}}")
        value = {names[0]: value}
    if not isinstance(value, Mapping):
        raise ConfigError(f"`{what}` is a list of rows, or such lists by name")
    for name, rows in value.items():
        if name not in (*names, *also):
            raise ConfigError(f"`{what}`: nothing is called {name!r}", hint=nearest(name, names))
        _check_rows(rows, f"`{what}`")
    return dict(value)


def _check_rows(rows: Any, what: str) -> None:
    if not isinstance(rows, list) or not all(isinstance(one, Mapping) for one in rows):
        raise ConfigError(f"{what} is a list of rows, each a mapping", hint="- {n: 1}")


def _entry(given: Row) -> Row | Watermark:
    return Watermark(moment(given["watermark"])) if list(given) == ["watermark"] else given


def _expected(test: Mapping[str, Any], key: str, default: Expected | None) -> Expected | None:
    value = test.get(key, default)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    _check_rows(value, f"`{key}`, if it is no number,")
    return list(value)
