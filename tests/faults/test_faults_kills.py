"""kill -9 at every step of the protocol and at any time: nothing lost, nothing twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from fault_cases import CASES, CLOCK, STEPS, WINDOWS, rows, truth_of_windows
from fault_runs import Case, Children, Killer, Totals, points
from fault_scenarios import fed, followed, told_twice

ENGINE = ("engines/local/*.py", "checkpoints.py", "segments.py")
by_name = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def check(totals: Totals) -> None:
    print(totals)
    assert (totals.lost, totals.twice) == (0, 0), str(totals)


@by_name
def test_killed_at_points(
    case: Case, children: Children, shm: Path, tally: Totals, long: bool
) -> None:
    killer = Killer(children, case, shm, small=True)
    expected = killer.whole()
    for number, chain in enumerate(killer.chains(*((8, 6) if long else (3, 5)))):
        killer.small = bool(number % 2)
        killer.at_points(expected, chain)
    tally.add(killer.totals)
    check(killer.totals)


@by_name
def test_killed_at_any_time(
    case: Case, children: Children, shm: Path, tally: Totals, long: bool
) -> None:
    killer = Killer(children, case, shm)
    expected = killer.whole()
    for _ in range(4 if long else 1):
        delays = [killer.dice.uniform(0, killer.seconds) for _ in range(4 if long else 2)]
        killer.at_times(expected, delays)
    tally.add(killer.totals)
    check(killer.totals)


@by_name
def test_stopped_and_resumed(
    case: Case, children: Children, shm: Path, tally: Totals, long: bool
) -> None:
    killer = Killer(children, case, shm)
    expected = killer.whole()
    stops = (
        ("epoch.committed", "epoch.ingested", "epoch.intended") if long else ("epoch.committed",)
    )
    if case.resumes:
        for point in stops:
            killer.stopped(expected, f"{point}:kill:{killer.dice.randint(1, 6)}")
    tally.add(killer.totals)
    check(killer.totals)


def test_every_point_of_the_engine_is_passed(children: Children, shm: Path) -> None:
    """A step without a kill would be a step without a proof."""
    passed = set[str]()
    for case in (WINDOWS, STEPS):
        killer = Killer(children, case, shm, small=True)
        killer.whole()
        passed |= killer.passes.keys()
    wanted = points(*ENGINE)
    assert len(wanted) >= 15
    elsewhere = {"checkpoint.refused"}  # needs a sink that refuses rows
    spooled = {one for one in wanted if one.startswith("spool.")}  # killed in `fed`
    assert wanted - elsewhere - spooled <= passed


def test_the_uninterrupted_run_is_right(children: Children, shm: Path) -> None:
    """Comparing a run with itself would miss what both lose."""
    killer = Killer(children, WINDOWS, shm)
    found = killer.whole()
    bare = Counter(
        tuple(one for one in row if one[0] != "error") for row in found.elements()
    )  # how it is said that a line is broken may change
    assert bare == truth_of_windows(rows())


def test_the_clock_is_frozen(children: Children, shm: Path, tally: Totals, long: bool) -> None:
    killer = Killer(children, CLOCK, shm)
    for first in range(4, 20 if long else 7):
        told_twice(killer, [f"epoch.published_one:kill:{first}", "epoch.published_one:kill:5"])
    tally.add(killer.totals)
    check(killer.totals)


def test_rows_that_come_once(children: Children, shm: Path, tally: Totals, long: bool) -> None:
    reachable = sorted(points(*ENGINE, "connectors/file_sink.py", "parts/files/staging.py"))
    faults = [f"{one}:kill:{n}" for n in (1, 3, 5) for one in reachable if one[:7] != "segment"]
    for at in range(0, len(faults) if long else 8, 4):
        totals = fed(children, shm / str(at), faults[at : at + 4] if long else faults[at::19][:4])
        tally.add(totals)
        check(totals)


@pytest.mark.parametrize("seed", range(2))
def test_killed_while_the_file_grows(
    seed: int, children: Children, shm: Path, tally: Totals, long: bool
) -> None:
    totals = followed(children, shm, 20 if long else 5, seed)
    tally.add(totals)
    check(totals)
