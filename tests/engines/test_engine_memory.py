"""While a run lasts Python looks for garbage seldom, and memory that is free is given back."""

import gc
import resource
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

from pydatastream.engines.local.memory import SELDOM, giving_back, seldom_collecting

MB = 1 << 20


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def test_only_while_it_lasts() -> None:
    before = gc.get_threshold()
    with pytest.raises(KeyError), seldom_collecting():
        assert gc.get_threshold() == SELDOM
        raise KeyError
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def comes_true(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 30
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def test_what_a_burst_has_needed_is_given_back() -> None:
    kept = [bytes(1000) for _ in range(100_000)][::50]  # what is free lies between what is not
    full = resident()
    with giving_back(every=0.01):
        assert comes_true(lambda: resident() <= full - 50 * MB)
    assert kept


class Knot:
    """Holds itself."""

    def __init__(self) -> None:
        self.own = self


def test_a_cycle_is_found_though_few_objects_are_new() -> None:
    with seldom_collecting():
        knot = weakref.ref(Knot())
        assert knot() is not None
        with giving_back(every=0.01):
            assert comes_true(lambda: knot() is None)
