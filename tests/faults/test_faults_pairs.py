"""kill -9, dead servers, bad lines and second instances between every source and every sink.

Counts are taken by each system's own tools: nothing lost, and nothing twice where that is promised.
"""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from fault_pairs import (
    EXPECTED,
    ONCE,
    Couple,
    Made,
    Pair,
    cases,
    go_on,
    halted,
    main_cases,
    sinks_at,
    sources_at,
)
from fault_runs import Children, Killer, Totals

from pydatastream.core.sink import Delivery
from services.server import Server
from services.toxiproxy import Proxy, Toxiproxy

Act = Callable[[], Any]
INTENDED = "epoch.intended"
"""Where the engine has written down what it is about to publish."""


def slow(value: str) -> Any:
    """A parameter for the long form."""
    return pytest.param(value, marks=pytest.mark.slow)


def check(totals: Totals, pair: Pair, tally: Totals) -> None:
    tally.add(totals)
    print(totals)
    assert totals.lost == 0, str(totals)
    assert totals.twice == 0 or promised(pair) not in ONCE, str(totals)


def promised(pair: Pair) -> Delivery:
    (ends, *_) = pair.ends.values()
    return ends.sink.sink().delivery


@pytest.mark.proves
@pytest.mark.parametrize("couple", cases())
def test_killed_at_points_and_at_any_time(
    couple: Couple, made: Made, children: Children, shm: Path, tally: Totals, long: bool
) -> None:
    pair = made(*couple.truths)
    killed = kills(Killer(children, pair, shm), long)
    check(killed, pair, tally)


@pytest.mark.parametrize("couple", main_cases())
def test_killed_where_rows_may_come_twice(
    couple: Couple, made: Made, children: Children, shm: Path, tally: Totals, long: bool
) -> None:
    """What `delivery: at_least_once` saves is not paid for with rows."""
    pair = made(*couple.truths, more={"delivery": Delivery.AT_LEAST_ONCE})
    killed = kills(Killer(children, pair, shm), long)
    tally.add(replace(killed, twice=0))
    print(killed)
    assert killed.lost == 0, str(killed)


def kills(killer: Killer, long: bool) -> Totals:
    """What became of the rows when runs were killed at points and, in the long form, at times."""
    assert killer.whole() == EXPECTED
    for chain in killer.chains(*((6, 6) if long else (1, 3))):
        killer.at_points(EXPECTED, chain)
    for _ in range(4 if long else 0):
        killer.at_times(EXPECTED, [killer.dice.uniform(0, killer.seconds) for _ in range(3)])
    assert killer.totals.kills
    return killer.totals


def halting(pair: Pair, children: Children, shm: Path, point: str) -> tuple[Path, int]:
    """A run that has halted itself at a point."""
    place = pair.prepare(shm / uuid.uuid4().hex[:6])
    pid = children.start(place, fault=f"{point}:kill:3", halts=True)
    halted(pid)
    return place, pid


def said(place: Path) -> str:
    """What a run has said, and what it has left if it found a defect."""
    left = "".join(one.read_text() for one in place.glob(".pds/crash*"))
    return (place / "stderr.txt").read_text()[-2000:] + left


@pytest.fixture
def server(couple: Couple, request: pytest.FixtureRequest) -> Server:
    """The server that gets into trouble."""
    assert couple.hurt
    running: Server = request.getfixturevalue(str(couple.hurt.truth.server))
    return running


@pytest.fixture
def proxy(server: Server, toxiproxy_server: Toxiproxy) -> Iterator[Proxy]:
    """The way by which runs come to it."""
    way = toxiproxy_server.before(server)
    yield way
    way.remove()


@dataclass(frozen=True)
class Ordeal:
    """Runs that go through a trouble."""

    children: Children
    shm: Path

    def survived(self, pair: Pair, point: str, trouble: Act, cure: Act) -> None:
        """A run halts at a point and goes on in trouble; once it is cured, all ends well."""
        place, pid = halting(pair, self.children, self.shm, point)
        trouble()
        go_on(pid)
        time.sleep(1.0)
        cure()
        code = self.children.wait(pid)
        assert code == 0, said(place)
        assert pair.found(place) == EXPECTED, said(place)


@pytest.fixture
def ordeal(children: Children, shm: Path) -> Ordeal:
    return Ordeal(children, shm)


def any_server(_: type[Server]) -> bool:
    return True


def durable(server: type[Server]) -> bool:
    return server.durable


@pytest.mark.parametrize(
    ("couple", "point"),
    [
        *sinks_at([INTENDED, "epoch.executed", "epoch.published_one"], ONCE, durable),
        *sources_at(["epoch.ingested"], durable),
    ],
)
def test_the_server_is_killed_in_the_middle(
    couple: Couple, point: str, made: Made, ordeal: Ordeal, server: Server
) -> None:
    ordeal.survived(made(*couple.truths), point, server.kill, server.start)


SHORT = "reset"
TROUBLES: dict[str, Callable[[Proxy], None]] = {
    "late": lambda proxy: proxy.latency(100, 50),
    "reset": lambda proxy: proxy.reset(20),
    "silent": lambda proxy: proxy.black_hole(),
    "cut off in an answer": lambda proxy: proxy.reset_after(100),
}


@pytest.mark.parametrize("trouble", [SHORT, *(slow(one) for one in TROUBLES if one != SHORT)])
@pytest.mark.parametrize(
    ("couple", "point"),
    [
        *sinks_at([INTENDED, "epoch.executed"], ONCE, any_server),
        *sources_at(["epoch.ingested"], any_server),
    ],
)
def test_the_line_is_bad(
    couple: Couple,
    point: str,
    trouble: str,
    made: Made,
    ordeal: Ordeal,
    server: Server,
    proxy: Proxy,
) -> None:
    pair = made(*couple.truths, through={server.port: proxy.port})
    ordeal.survived(pair, point, lambda: TROUBLES[trouble](proxy), proxy.heal)


@pytest.mark.parametrize(
    ("couple", "point"), sinks_at([INTENDED, "epoch.committed"], [Delivery.EXACTLY_ONCE])
)
def test_an_instance_that_wakes_up_can_no_longer_write(
    couple: Couple, point: str, made: Made, children: Children, shm: Path
) -> None:
    """It halts; another one, on a copy of its checkpoint, does the work; then it wakes up."""
    pair = made(*couple.truths)
    place, old = halting(pair, children, shm, point)
    another = shm / "another"
    shutil.copytree(place, another)
    ended_by = children.wait(children.start(another))
    assert ended_by == 0, said(another)
    go_on(old)
    code = children.wait(old)
    assert pair.found(place) == EXPECTED
    assert code not in (0, None), said(place)
    assert "try: " in said(place)
