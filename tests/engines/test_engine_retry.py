"""Waiting: exponential, with jitter and a cap, for ever unless somebody has no patience."""

from __future__ import annotations

import threading

import pytest

from pydatastream.core.errors import RetryLater
from pydatastream.engines.local import retry
from pydatastream.engines.local.retry import CAP, FIRST, Backoff

AWAY = RetryLater("kafka at host:9092 is away")


class Clock(threading.Event):
    """Nobody asks to stop, and nobody really waits: how long it would be is written down."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return self.is_set()


def test_waits_double_up_to_a_cap_and_never_end() -> None:
    clock = Clock()
    backoff = Backoff(clock)
    assert all(backoff.wait(AWAY) for _ in range(5000))
    longest = [min(CAP, FIRST * 2 ** min(n, 20)) for n in range(5000)]
    assert all(most / 2 <= wait <= most for wait, most in zip(clock.waits, longest, strict=True))
    assert max(clock.waits) > 0.9 * CAP
    backoff.reset()
    backoff.wait(AWAY)
    assert clock.waits[-1] <= FIRST


def test_two_that_wait_do_not_come_at_the_same_time() -> None:
    one, other = Clock(), Clock()
    for clock in (one, other):
        backoff = Backoff(clock)
        for _ in range(10):
            backoff.wait(AWAY)
    assert one.waits != other.waits


def test_who_names_a_time_is_not_asked_before() -> None:
    clock = Clock()
    assert Backoff(clock).wait(RetryLater("busy", after=77.0))
    assert clock.waits == [77.0]


def test_patience_and_a_wish_to_stop_end_it() -> None:
    clock = Clock()
    backoff = Backoff(clock, patience=1.0)
    assert [backoff.wait(AWAY) for _ in range(9)][-1] is False
    assert sum(clock.waits) <= 1.0
    clock.set()
    assert not Backoff(clock).wait(AWAY)


def test_what_is_waited_for_is_told_until_it_has_healed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(retry.time, "monotonic", lambda: now[0])
    backoff = Backoff(Clock())
    assert backoff.waiting_for is None
    backoff.wait(AWAY)
    now[0] += 12
    backoff.wait(AWAY)
    assert backoff.waiting_for == "kafka at host:9092 is away, 12 s"
    backoff.reset()
    assert backoff.waiting_for is None
