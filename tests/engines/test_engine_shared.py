"""A source whose partitions go to others and come back: nothing lost, nothing twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import polars as pl
import pytest
from engine_parts import Double, KeepSink, KeepWriter, Odd, plan_of

from pydatastream.core.batch import Batch, Offset
from pydatastream.core.errors import BeginAgain
from pydatastream.core.sink import Write
from pydatastream.core.source import Read, Source
from pydatastream.engines.local.report import RunReport
from pydatastream.engines.local.run import run
from pydatastream.engines.local.settings import Settings

ROWS = 60
"""In each of two partitions."""


@dataclass
class Group:
    """What the others do, told step by step, and how far the group knows that all are."""

    steps: list[str] = field(default_factory=list)
    told: dict[str, int] = field(default_factory=dict)
    read: dict[str, int] = field(default_factory=dict)
    happened: list[str] = field(default_factory=list)
    joined: int = 0
    ours: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def published(self) -> list[int]:
        epochs = KeepSink.stores.get("out", {}).get("epochs", {})
        return sorted(n for one in epochs.values() for frame in one for n in frame["id"])


GROUP = Group()


class GroupClaim:
    def __init__(self, offsets: Mapping[str, Offset], member: int) -> None:
        self.offsets, self.member = offsets, member

    def commit(self) -> None:
        if self.member != GROUP.joined:
            raise BeginAgain("void")
        GROUP.told |= {name: at["n"] for name, at in self.offsets.items()}
        GROUP.happened.append("claimed")


class GroupShare:
    """One step of the others at a time, each when something was read since the last."""

    def __init__(self, let_go: Callable[[], None]) -> None:
        GROUP.joined += 1
        self._member, self._let_go = GROUP.joined, let_go
        GROUP.ours = ["a", "b"]

    def partitions(self) -> Sequence[str]:
        step = GROUP.steps.pop(0) if GROUP.steps else "-"
        if step == "lost":
            GROUP.joined += 1
            raise BeginAgain("they are others' already")
        if step == "taken":
            self._let_go()
            GROUP.happened.append("let go")
            assert GROUP.told == GROUP.read
            GROUP.ours = ["b"]
        if step == "given":
            GROUP.ours = ["a", "b"]
        if not GROUP.steps and all(at >= ROWS for at in GROUP.told.values()) and GROUP.told:
            GROUP.stop.set()
        return GROUP.ours

    def claim(self, offsets: Mapping[str, Offset]) -> GroupClaim:
        return GroupClaim(offsets, self._member)

    def close(self) -> None:
        GROUP.happened.append("left")


class GroupReader:
    def __init__(self, partition: str, job: Read) -> None:
        assert job.resume is None
        self._name, self._at = partition, GROUP.told.get(partition, 0)

    def __iter__(self) -> Iterator[Batch | None]:
        first = {"a": 0, "b": ROWS}[self._name]
        while True:
            if self._at < ROWS:
                self._at += 1
                ids = pl.Series("id", [first + self._at - 1])
                GROUP.read[self._name] = self._at
                yield Batch(pl.DataFrame({"id": ids, "ts": ids * 1000}), {"n": self._at})
            yield from [None] * 5

    def commit(self, offset: Any) -> None:
        raise AssertionError("a shared source is told by claims")

    def close(self) -> None: ...


class GroupSource(Source):
    """Rows of two partitions, shared."""

    replayable: ClassVar[bool] = True

    @property
    def shared(self) -> bool:
        return True

    def share(self, let_go: Callable[[], None]) -> GroupShare:
        return GroupShare(let_go)

    def open(self, partition: str, job: Read) -> GroupReader:
        return GroupReader(partition, job)


class CarryingWriter(KeepWriter):
    """The claims take effect with the rows."""

    claims: Sequence[GroupClaim] = ()

    def carry(self, claims: Sequence[GroupClaim]) -> None:
        self.claims = claims

    def publish(self, epoch: int) -> None:
        for claim in self.claims:
            claim.commit()
        self.claims = ()
        epochs = self.store.setdefault("epochs", {})
        epochs[len(epochs)] = self.staged
        GROUP.happened.append("published")

    def published(self) -> int | None:
        return None


class CarryingSink(KeepSink):
    def carries(self, source: Source) -> bool:
        return isinstance(source, GroupSource)

    def open(self, job: Write) -> CarryingWriter:
        assert job.carries
        return CarryingWriter(self.stores.setdefault(self.key, {}))


class PlainWriter(CarryingWriter):
    def carry(self, claims: Sequence[GroupClaim]) -> None:
        raise AssertionError("this one cannot")


class PlainSink(KeepSink):
    def open(self, job: Write) -> PlainWriter:
        assert not job.transactional
        return PlainWriter(self.stores.setdefault(self.key, {}))


@pytest.fixture(autouse=True)
def group() -> Group:
    GROUP.__init__()  # type: ignore[misc]
    return GROUP


def went(*steps: Any, sink: KeepSink, **more: Any) -> RunReport:
    plan = plan_of(GroupSource(time="ts", time_unit="us"), *steps, sink=sink)
    return run(plan, Settings(interval=20_000, stop=GROUP.stop, **more))


COMING_AND_GOING = ["-", "taken", "-", "given", "taken", "given"]


@pytest.mark.parametrize("sink", [CarryingSink(), PlainSink()])
def test_what_was_read_is_published_and_claimed_before_partitions_go(
    group: Group, sink: KeepSink
) -> None:
    group.steps = list(COMING_AND_GOING)
    report = went(sink=sink)
    assert group.published() == list(range(2 * ROWS))
    assert group.happened.count("let go") == 2
    assert (report.rows_in, report.rows_out) == (2 * ROWS, 2 * ROWS)


def test_what_is_at_work_is_given_up_when_partitions_have_gone(group: Group) -> None:
    group.steps = ["-", "lost", "-", "lost"]
    report = went(Odd(), sink=CarryingSink())
    assert group.published() == list(range(1, 2 * ROWS, 2))
    assert group.happened.count("left") == 3
    assert report.rows_in >= 2 * ROWS, "what came again was read again"


def test_a_sink_that_cannot_carry_a_claim_may_have_rows_twice(group: Group) -> None:
    group.steps = ["-", "lost", "-", "lost"]
    went(sink=PlainSink())
    assert set(group.published()) == set(range(2 * ROWS))
    before = group.happened.index("claimed")
    assert "published" in group.happened[:before], "the group is told after the sink"


def test_asked_for_at_least_once_nothing_is_carried(group: Group) -> None:
    went(sink=_Carrying(), delivery="at_least_once")
    assert group.published() == list(range(2 * ROWS))


class _Carrying(PlainSink):
    def carries(self, source: Source) -> bool:
        return True


def test_dead_letters_are_published_before_the_claim(group: Group) -> None:
    dead = PlainSink(key="dead")
    report = went(Double(), sink=CarryingSink(), dead_letters=dead)
    assert report.dead == 1
    letters = [one for frames in dead.stores["dead"]["epochs"].values() for one in frames]
    assert [one["step"].to_list() for one in letters if one.height] == [["double_0"]]
    first = group.happened.index("claimed")
    assert group.happened[:first] == ["published"], "of the letters; then the claim and the rows"
