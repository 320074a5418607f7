"""The suite is worth something only if it fails: each seeded bug must be caught."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fault_bugs import BUGS, POWER
from fault_cases import CLOCK, STEPS, TARDY, TWO, WINDOWS
from fault_runs import Case, Children, Killer
from fault_scenarios import fed, refused_twice, told_twice

Suite = Callable[[Children, Path, str | None], None]
QUICK = "epoch.published", "checkpoint.after_commit", "epoch.published_one", "segments.unlinked"
"""Where the bugs below bite; the suite itself kills everywhere."""


def killed(case: Case) -> Suite:
    def suite(children: Children, folder: Path, bug: str | None) -> None:
        killer = Killer(children, case, folder, bug, small=True)
        expected = killer.whole()
        for at in (2, 3, 4):
            killer.at_points(expected, [f"{point}:kill:{at}" for point in QUICK])
            assert (killer.totals.lost, killer.totals.twice) == (0, 0), killer.totals

    return suite


def clock(children: Children, folder: Path, bug: str | None) -> None:
    killer = Killer(children, CLOCK, folder, bug)
    told_twice(killer, [f"epoch.published_one:kill:{at}" for at in (4, 5, 4, 5)])
    assert (killer.totals.lost, killer.totals.twice) == (0, 0), killer.totals


def stdin(children: Children, folder: Path, bug: str | None) -> None:
    points = ("checkpoint.after_intent", "checkpoint.before_commit", "spool.written")
    for at in (2, 4, 5):
        faults = [f"{one}:kill:{at}" for one in points]
        totals = fed(children, folder / str(at), faults, bug)
        assert (totals.lost, totals.twice) == (0, 0), totals


def owners(children: Children, folder: Path, bug: str | None) -> None:
    assert refused_twice(children, folder, bug)


SUITES: dict[str, Suite] = {
    "clock_not_frozen": clock,
    "ack_before_commit": stdin,
    "spooled_after": stdin,
    "no_lock": owners,
    "state_not_restored": killed(STEPS),
    "watermark_not_saved": killed(TARDY),
    "offset_not_saved": killed(TWO),
}


@pytest.mark.parametrize("bug", [name for name in BUGS if name not in POWER])
def test_a_seeded_bug_is_caught(bug: str, children: Children, shm: Path) -> None:
    suite = SUITES.get(bug, killed(WINDOWS))
    with pytest.raises(AssertionError) as caught:
        suite(children, shm, bug)
    told = str(caught.value)
    print(told[-300:])
    assert "a defect of pds" not in told, "the seeded bug no longer fits the code"


@pytest.mark.parametrize("suite", [*dict.fromkeys(SUITES.values()), killed(WINDOWS)])
def test_without_a_bug_the_same_suites_pass(suite: Suite, children: Children, shm: Path) -> None:
    suite(children, shm, None)
