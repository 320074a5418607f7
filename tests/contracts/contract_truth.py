"""What a test knows of a system besides our connector: how to fill it, and how to look into it.

Each connector has a file `tests/connectors/truth_<name>.py` with SOURCES and SINKS: lists of
classes derived from these two, one for each way in which the connector is to be tried.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from itertools import cycle, islice
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import pytest

from pydatastream.core.component import Component
from pydatastream.core.sink import Sink
from pydatastream.core.source import Source
from pydatastream.core.types import TYPES, type_name

CONNECTORS = Path(__file__).parents[1] / "connectors"
sys.path.append(str(CONNECTORS))

Fixture = Callable[[str], Any]
"""Gives a fixture by its name: `fixture("kafka_server")`."""


class Truth:
    """One place in a system, made for one test."""

    server: ClassVar[str | None] = None
    """The fixture of the server it needs; tests of one server run in one process."""
    slow: ClassVar[bool] = False
    """Whether it takes too long for the short form."""
    killed: ClassVar[bool] = True
    """Whether a run over it ends by itself, and what is there outlives the run: then runs are
    killed, and what is left is counted."""
    lingers: ClassVar[bool] = False
    """Whether that takes too long for the short form."""
    longest: ClassVar[int] = 1 << 20
    """The longest text that is tried, in bytes."""

    def __init__(self, place: Path, fixture: Fixture) -> None:
        self.place, self.fixture = place, fixture
        self.name = f"contract-{secrets.token_hex(4)}"

    def carries(self, dtype: pl.DataType) -> bool:
        """Whether the connector has this type at all."""
        return True

    def wrong(self) -> Mapping[str, Component]:
        """Descriptions that cannot work, each with what its error must say (a regex)."""
        return {}

    def close(self) -> None:
        """Clean up."""


class SourceTruth(Truth):
    """A place that a source reads."""

    def seed(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Put rows there without our code; returns them as a reader is to see them."""
        raise NotImplementedError

    def source(self) -> Source:
        """The source that reads what was put there."""
        raise NotImplementedError


class SinkTruth(Truth):
    """A place that a sink writes."""

    keeps: ClassVar[bool] = True
    """False where nothing that is written can be seen again."""

    def sink(self) -> Sink:
        """The sink that writes there."""
        raise NotImplementedError

    def expected(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows as they are to be seen there."""
        return rows

    def visible(self, schema: pl.Schema) -> pl.DataFrame:
        """What a reader of the system sees now, found without our code."""
        raise NotImplementedError

    def lose(self) -> None:
        """Make the system forget all, as a fail-over or a careless person would."""
        raise NotImplementedError


def cases_of(kind: str, name: str) -> list[Any]:
    """A case for each truth of a connector; those of one server run in one process."""
    known = truths(kind, name)
    return [_case(kind, name, truth, several=len(known) > 1) for truth in known or [None]]


def _case(kind: str, name: str, truth: type[Truth] | None, *, several: bool) -> Any:
    server = truth.server if truth else None
    marks = [pytest.mark.xdist_group(server or f"{kind}-{name}")]
    marks += [pytest.mark.slow] if truth and truth.slow else []
    end = f"-{truth.__name__.lower()}" if truth and several else ""
    return pytest.param((name, truth), id=f"{kind}-{name}{end}", marks=marks)


def truths(kind: str, name: str) -> Sequence[type[Any]]:
    """The truths of a connector; none if there is no file, or nothing in it, for it."""
    if not (CONNECTORS / f"truth_{name}.py").exists():
        return ()
    found: Sequence[type[Any]] = getattr(import_module(f"truth_{name}"), f"{kind.upper()}S", ())
    return found


_TEXTS = (
    "",
    " ",
    "null",
    "é\U0001f600",
    "a,b",
    '"',
    "x\ny",
    "\t",
    "007",
    "\\",
    "'; drop",
    "\u2028",
)
_MOMENTS = (
    datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(2200, 1, 1, tzinfo=UTC),
)
_DAYS = (date(2024, 2, 29), date(1969, 12, 31), date(2200, 1, 1))
_SPANS = (timedelta(microseconds=1), timedelta(days=-3), timedelta(0))
_REALS = (0.1, -1.5, 1e300, 5e-324, float("nan"), float("inf"), -0.0)
_SINGLES = (0.5, -1.5, 2.0**100, float("nan"), float("-inf"))
_AMOUNTS = (Decimal("0.000000001"), Decimal("-12345678901234567890.5"), Decimal(0))
_BYTES = (b"", b"\x00\xff", b"text")
_LISTS = (["a", None, ""], [], ["é"])

_VALUES: dict[pl.DataType, Sequence[Any]] = {
    pl.String(): _TEXTS,
    pl.Float64(): _REALS,
    pl.Float32(): _SINGLES,
    pl.Boolean(): (True, False),
    TYPES["timestamp"]: _MOMENTS,
    pl.Date(): _DAYS,
    TYPES["duration"]: _SPANS,
    pl.Binary(): _BYTES,
    TYPES["decimal"]: _AMOUNTS,
    pl.List(pl.String()): _LISTS,
}


def awkward(carries: Callable[[pl.DataType], bool], height: int = 13) -> pl.DataFrame:
    """Rows `id` = 0, 1, ... with a column of every type there is, and null in each of them."""
    types = [*dict.fromkeys(TYPES.values()), pl.List(pl.String())]
    columns = [
        pl.Series(_name(dtype), _cycled(_values(dtype), height), dtype)
        for dtype in types
        if carries(dtype)
    ]
    return pl.DataFrame([numbered(height), *columns])


def numbered(height: int, first: int = 0) -> pl.Series:
    """A column `id` of numbers."""
    return pl.int_range(first, first + height, dtype=pl.Int64, eager=True).alias("id")


def _name(dtype: pl.DataType) -> str:
    return "a_" + type_name(dtype).replace("[", "_").rstrip("]")


def _cycled(values: Sequence[Any], height: int) -> list[Any]:
    return list(islice(cycle([*values, None]), height))


def _values(dtype: pl.DataType) -> Sequence[Any]:
    if dtype.is_integer():
        return (*pl.select(low=dtype.min(), high=dtype.max()).row(0), 0, 1)
    return _VALUES[dtype]
