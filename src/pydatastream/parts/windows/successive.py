"""Windows on a grid of event time: those that follow each other without gap, and others."""

from __future__ import annotations

from pydantic import Field, field_validator

from pydatastream.core.operator import Flow, Kernel
from pydatastream.core.state import State
from pydatastream.core.times import Duration, micros
from pydatastream.parts.windows.panes import GridKernel
from pydatastream.parts.windows.windowed import Grid, Windowed


class Gridded(Windowed):
    """What windows on a grid have in common."""

    max_windows: int = Field(1_000_000, gt=0)
    """At most so many windows open at once, or slices of them; more stops the run."""

    def on_grid(self, grid: Grid, state: State, given: Flow) -> GridKernel:
        """The windows at work."""
        return GridKernel(
            grid=grid,
            keyed=self.keyed(given),
            time=given.event_time(),
            lateness=micros(self.lateness),
            required=self.required(),
            max_windows=self.max_windows,
            state=state,
        )


class Successive(Gridded):
    """A window is [start, end) of event time; starts are multiples of `size`, moved by `offset`."""

    size: Duration
    """Length of a window."""
    offset: Duration = "0s"
    """Where windows start, counted from a multiple of `size`."""

    @field_validator("size")
    @classmethod
    def _not_empty(cls, size: str) -> str:
        if micros(size) < 1:
            raise ValueError("a window is at least 1us long")
        return size

    def open(self, state: State, *inputs: Flow) -> Kernel:
        grid = Grid(micros(self.size), micros(self.size), micros(self.offset))
        return self.on_grid(grid, state, inputs[0])
