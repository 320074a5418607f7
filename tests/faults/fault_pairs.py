"""Pairs of a source and a sink, each in its real system, in the hands of who kills.

What a connector is tried with stands in `tests/connectors/truth_<name>.py`: there is no list of
connectors here.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from fault_runs import Case, Rows
from pydantic import SecretStr

sys.path.append(str(Path(__file__).parents[1] / "contracts"))

from contract_truth import Fixture, SinkTruth, SourceTruth, numbered, truths

from pydatastream.catalog import catalog
from pydatastream.core.component import Component
from pydatastream.core.sink import Delivery
from services import SERVERS
from services.server import Server

COUNT, BATCH = 360, 60
CROSSED = ("file", "kafka", "redis")
"""Sources that are paired with every sink in the long form."""
MAIN = ("kafka", "redis")
"""The pair that is also tried in short."""
ONCE = (Delivery.EXACTLY_ONCE, Delivery.EFFECTIVELY_ONCE)
Which = Callable[[type[Server]], bool] | None
"""Of which servers; None: of any, or of none."""
PATIENCE = 40.0
"""Seconds in which a run must come to where it is to halt."""


@dataclass(frozen=True)
class Known:
    """One truth of a connector, and its name in the tests."""

    kind: str
    name: str
    truth: type[Any]

    @property
    def id(self) -> str:
        """Such as sink-redis-tolist."""
        return f"{self.kind}-{self.name}-{self.truth.__name__.lower()}"


@dataclass(frozen=True)
class Couple:
    """A source and a sink that are tried together."""

    source: Known
    sink: Known
    hurt: Known | None = None
    """The one whose server is in trouble."""

    @property
    def truths(self) -> tuple[type[Any], type[Any]]:
        """What is known of the source, and of the sink."""
        return self.source.truth, self.sink.truth

    @property
    def id(self) -> str:
        """Such as source-file-json-sink-redis-tolist; who is hurt last, if the other may be too."""
        both = self.source.truth.server and self.sink.truth.server
        ends = [self.source, self.sink, *([self.hurt] if self.hurt and both else [])]
        return "-".join(one.id for one in ends)


def known(kind: str) -> list[Known]:
    """Every truth of every connector that can be killed at work, the first ones first."""
    found = [
        (number, Known(kind, name, truth))
        for name in catalog().names(kind)
        for number, truth in enumerate(truths(kind, name))
        if truth.killed
    ]
    return [one for _, one in sorted(found, key=lambda pair: pair[0])]


def cases() -> list[Any]:
    """Each connector in some pair; in the long form each truth, and all pairs that are promised."""
    sources, sinks = known("source"), known("sink")
    quick = [[one for one in _firsts(some) if not _takes_long(one)] for some in (sources, sinks)]
    few, all_ = _paired(*quick), _paired(sources, sinks)
    crossed = [Couple(source, sink) for source in _crossed() for sink in sinks]
    return [_case(one, slow=one not in few) for one in dict.fromkeys([*few, *all_, *crossed])]


def main_cases() -> list[Any]:
    """The systems that are crossed, with every one that keeps rows once."""
    couples = [Couple(one, sink) for one in _crossed() for sink in _firsts(_promising(ONCE))]
    return [_case(one, slow=(one.source.name, one.sink.name) != MAIN) for one in couples]


def _paired(sources: Sequence[Known], sinks: Sequence[Known]) -> list[Couple]:
    count = max(len(sources), len(sinks))
    return [Couple(sources[n % len(sources)], sinks[n % len(sinks)]) for n in range(count)]


def _takes_long(one: Known) -> bool:
    return bool(one.truth.slow or one.truth.lingers)


def _firsts(tried: Sequence[Known]) -> list[Known]:
    """The first truth of each connector."""
    return [one for one in tried if one.truth is truths(one.kind, one.name)[0]]


def _crossed() -> list[Known]:
    return [one for one in _firsts(known("source")) if one.name in CROSSED]


def _case(couple: Couple, *more: Any, slow: bool) -> Any:
    server = couple.sink.truth.server or couple.source.truth.server or "files"
    marks = [pytest.mark.xdist_group(server)]
    long = slow or _takes_long(couple.source) or _takes_long(couple.sink)
    marks += [pytest.mark.slow] if long else []
    return pytest.param(couple, *more, id="-".join([couple.id, *more]), marks=marks)


def sinks_at(points: Sequence[str], deliveries: Sequence[Delivery], which: Which = None) -> Any:
    """Each sink of such a delivery that has such a server: runs that halt at one of the points.

    In the short form those of a connector's first truth, fed from a file, at the first point; in
    the long form also fed from another system.
    """
    sinks = [one for one in _promising(deliveries) if _fits(one, which)]
    return _at(points, [Couple(source, one, one) for one in sinks for source in _crossed()])


def sources_at(points: Sequence[str], which: Which = None) -> Any:
    """Each source that has such a server, into files; in the long form also into others."""
    sources = [one for one in known("source") if _fits(one, which)]
    sinks, crossed = _firsts(_promising(ONCE)), _crossed()
    couples = [Couple(one, sink, one) for one in sources for sink in sinks]
    return _at(points, [one for one in couples if one.source in crossed or one.sink.name == "file"])


def _promising(deliveries: Sequence[Delivery]) -> list[Known]:
    promise = {one.type_name(): one.delivery for one in catalog().all("sink")}  # type: ignore[attr-defined]
    return [one for one in known("sink") if promise[one.name] in deliveries]


def _at(points: Sequence[str], couples: Sequence[Couple]) -> list[Any]:
    """Each of these whose other end is a file at every point, other ones at the first."""
    firsts = _firsts([*known("source"), *known("sink")])
    found = []
    for one in couples:
        (other,) = {one.source, one.sink} - {one.hurt}
        alone = other.name == "file"
        quick = points[:1] if alone and one.hurt in firsts else []
        tried = points if alone else points[:1]
        found += [_case(one, point, slow=point not in quick) for point in tried]
    return found


def _fits(one: Known, which: Which) -> bool:
    fitting = {f"{server.name}_server" for server in SERVERS if which is None or which(server)}
    return which is None or one.truth.server in fitting


@dataclass
class Ends:
    """What one folder has: the truths of both ends."""

    source: SourceTruth
    sink: SinkTruth
    schema: pl.Schema


@dataclass(frozen=True)
class Pair(Case):
    """Rows that go from one system to another, each folder with places of its own."""

    source: type[SourceTruth] = SourceTruth
    sink: type[SinkTruth] = SinkTruth
    fixture: Fixture = lambda name: None
    through: Mapping[int, int] = field(default_factory=dict)
    """Ports of servers, and of the proxies by which the run reaches them."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """What else stands in the pipeline file."""
    ends: dict[Path, Ends] = field(default_factory=dict)

    def prepare(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        places = folder / "from", folder / "to"
        for place in places:
            place.mkdir()
        source, sink = self.source(places[0], self.fixture), self.sink(places[1], self.fixture)
        seen = source.seed(_rows())
        self.ends[folder] = Ends(source, sink, seen.schema)
        text = json.dumps(self._pipeline(source, sink))
        for port, other in self.through.items():
            text = text.replace(str(port), str(other))
        (folder / "pipeline.yaml").write_text(text)
        return folder

    def _pipeline(self, source: SourceTruth, sink: SinkTruth) -> Mapping[str, Any]:
        return {
            "name": f"pair-{sink.name}",
            "source": spelled(source.source()),
            "processor": [{"filter": "id % 3 <> 0"}],
            "output": spelled(sink.sink()),
            "checkpoint": {"path": "checkpoint", "interval": "0s"},
            "batch": {"rows": BATCH},
            **self.more,
        }

    def found(self, folder: Path) -> Rows:
        """What is to be seen at the sink."""
        ends = self.ends[folder]
        return Counter(ends.sink.visible(ends.schema).rows())

    def begun(self, folder: Path) -> bool:
        """Whether some rows are to be seen, as far as one can look yet."""
        with suppress(Exception):
            return bool(self.found(folder))
        return False

    def close(self) -> None:
        """Clean up."""
        for one in self.ends.values():
            one.source.close()
            one.sink.close()


Made = Callable[..., Pair]
"""Makes a pair of two truths."""

EXPECTED: Rows = Counter((n, f"text {n % 7} é") for n in range(COUNT) if n % 3)


def _rows() -> pl.DataFrame:
    numbers = numbered(COUNT)
    return pl.DataFrame([numbers, pl.Series("a_string", [f"text {n % 7} é" for n in numbers])])


def spelled(component: Component) -> Mapping[str, Any]:
    """A description as a pipeline file has it, passwords of test servers included."""
    secrets = {
        name: value.get_secret_value() for name, value in component if isinstance(value, SecretStr)
    }
    return {"type": component.type_name(), **component.options(), **secrets}


def halted(pid: int) -> None:
    """Wait until a run has halted itself."""
    wait_for(lambda: _state(pid) == "T", "the run did not come to where it is to halt")


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def go_on(pid: int) -> None:
    """Let a halted run go on."""
    os.kill(pid, signal.SIGCONT)


def wait_for(true: Callable[[], bool], otherwise: str) -> None:
    """Wait until something is true."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, otherwise
        time.sleep(0.02)
