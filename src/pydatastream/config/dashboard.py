"""What a pipeline says of its dashboard: which outputs are shown, and how."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from pydatastream.core.component import Component
from pydatastream.core.described import Described
from pydatastream.core.operator import Names
from pydatastream.core.times import Duration
from pydatastream.parts.sql.expressions import Sql

Kind = Literal["line", "area", "bar", "table", "value", "source"]


class Panel(Described):
    """One thing to look at."""

    show: Kind = "line"
    """line: columns over time; area: the same, stacked; bar: the `top`
    values of `by`; table: the newest rows; value: the last number; source: length, lag and rate."""
    of: str | None = None
    """The output whose rows are shown, or the source; by default the first."""
    column: Names = Field(default_factory=list)
    """The columns to show; without any, all numbers."""
    by: str | None = None
    """A line, a layer or a bar per value of this column."""
    where: Sql | None = None
    """Only these rows, as SQL text."""
    marks: str | None = None
    """An output of alerts: the time from `start` to `last` is shaded."""
    shade: Sql | None = None
    """Times whose rows meet this condition are shaded too, such as true labels."""
    top: int = Field(10, gt=0, le=100)
    """How many bars, or layers; the rest is left out."""
    title: str | None = None
    """By default what is shown."""
    wide: bool = False
    """Take the whole width."""


class Dashboard(Component):
    """What `pds dashboard` shows; without it, a chart per number, and a table, of each output."""

    primary: ClassVar[str | None] = "panels"

    panels: list[Panel] = Field(default_factory=list)
    """From left to right, two in a row."""
    title: str | None = None
    """By default the pipeline's name."""
    filter: str | None = None
    """A column whose values can be picked; by default the first that is text."""
    refresh: Duration = "1s"
    """How often it is drawn anew."""
    rows: int = Field(100_000, gt=0, le=1_000_000)
    """So many rows of an output are looked at, the newest."""
