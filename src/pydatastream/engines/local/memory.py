"""Memory while rows flow: how often Python looks for garbage, and what the system gets back."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager

from pydatastream.core.repeating import repeating

SELDOM = (100_000, 20, 20)
"""Objects that are new between two looks, and looks between those at older ones. With Python's
own 700, reading Kafka spent a quarter of its time on looking: each message is such an object."""

EVERY = 10.0
"""Seconds between two times that memory is given back: 2 ms each, 100 ms after a large burst."""

YOUNG = 1
"""The oldest generation of objects that is looked at then: of those made since the last times."""


@contextmanager
def tended_memory() -> Iterator[None]:
    """Both of what follows."""
    with seldom_collecting(), giving_back():
        yield


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """Look for cycles seldom, and not among what was there before: batches form none."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextmanager
def giving_back(every: float = EVERY) -> Iterator[None]:
    """Give the system, now and then, what is held though nobody uses it.

    Cycles are few, but each may hold a frame. And what is free in the midst of a thread's arena
    stays with the process: without this, memory steps up with each burst of rows, as after a
    broker was away. Where the C library cannot help it, it stays so.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", id)

    def give_back() -> None:
        gc.collect(YOUNG)
        trim(0)

    with repeating(give_back, every):
        yield
