"""Windows that overlap."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import model_validator

from pydatastream.core.operator import Flow, Kernel
from pydatastream.core.state import State
from pydatastream.core.times import Duration, micros
from pydatastream.parts.windows.successive import Gridded
from pydatastream.parts.windows.windowed import Grid

MOST_OVERLAP = 10_000
"""A row may be in so many windows; beyond that a rolling window is what was meant."""


class Hopping(Gridded):
    """Aggregate rows by key in windows that overlap: `size` long, one each `every`.

    A window is [start, end) of event time; starts are multiples of `every` since 1970 UTC. Gives
    the columns `by`, `window_start`, `window_end`, then the aggregates, once the watermark has
    passed end + lateness. A row counts in each of its windows that is still open when it comes;
    if all are closed it goes to `late`.
    State: one or two partial rows per `every` and key; a row is aggregated once.
    """

    example: ClassVar[str] = (
        "- hopping: {size: 5m, every: 1m, by: [device_id], aggregate: {hi: max(temperature)}}"
    )

    size: Duration
    """Length of a window."""
    every: Duration
    """From the start of one window to that of the next; at most `size`."""

    @model_validator(mode="after")
    def _overlapping(self) -> Self:
        size, every = micros(self.size), micros(self.every)
        if every < 1:
            raise ValueError("`every` is at least 1us")
        if every > size:
            raise ValueError(f"every {self.every} is longer than size {self.size}: rows are lost")
        if size > MOST_OVERLAP * every:
            raise ValueError(f"each row would be in more than {MOST_OVERLAP:,} windows")
        return self

    def open(self, state: State, *inputs: Flow) -> Kernel:
        return self.on_grid(Grid(micros(self.size), micros(self.every)), state, inputs[0])
