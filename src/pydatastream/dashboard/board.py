"""A pipeline's outputs, looked at again and again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock

import polars as pl

from pydatastream.config.dashboard import Dashboard, Panel
from pydatastream.core.errors import ConfigError, PdsError, nearest
from pydatastream.core.plan import Output, Plan
from pydatastream.core.sink import View
from pydatastream.core.times import EVENT_TIME
from pydatastream.dashboard.frames import numbers
from pydatastream.parts.sql.expressions import condition
from pydatastream.pipeline import Pipeline


@dataclass(slots=True)
class Board:
    """What is shown of a pipeline, and the open views of its outputs."""

    name: str
    plan: Plan
    said: Dashboard
    views: dict[str, View] = field(default_factory=dict)
    trouble: dict[str, str] = field(default_factory=dict)
    """By output: why it could not be looked at, the last time."""
    _counted: dict[str, tuple[float, float]] = field(default_factory=dict)
    _one: Lock = field(default_factory=Lock)
    """Held while looking: several people may have the page open."""

    @classmethod
    def of(cls, pipeline: Pipeline, *, python: bool = True) -> Board:
        """The board of a pipeline; `ConfigError` if it names what is not there."""
        said = pipeline.declaration.dashboard
        board = cls(
            pipeline.name, pipeline.plan(python=python), said.component if said else Dashboard()
        )
        for panel in board.said.panels:
            board._check(panel)
        return board

    @property
    def title(self) -> str:
        """What stands above it."""
        return self.said.title or self.name

    @property
    def outputs(self) -> Mapping[str, Output]:
        """The outputs by name."""
        return {one.name: one for one in self.plan.outputs}

    def output(self, name: str | None) -> Output:
        """The output of that name, or the first."""
        if name is None:
            return self.plan.outputs[0]
        if name not in self.outputs:
            raise ConfigError(f"no output is called {name!r}", hint=nearest(name, self.outputs))
        return self.outputs[name]

    def time_of(self, output: Output) -> str | None:
        """The column that says when a row happened."""
        if output.flow.time is not None:
            return output.flow.time.column
        times = (name for name, kind in output.flow.schema.items() if kind == EVENT_TIME)
        return next(times, None)

    def panels(self) -> list[Panel]:
        """What the pipeline says is to be shown; or a chart per number, and a table, of each."""
        return list(self.said.panels) or [
            panel for output in self.plan.outputs for panel in self._usual(output)
        ]

    def layout(self) -> list[list[Panel]]:
        """The panels in rows: two beside each other, or a wide one alone."""
        rows = list[list[Panel]]()
        for panel in self.panels():
            if rows and len(rows[-1]) == 1 and not _wide(panel) and not _wide(rows[-1][0]):
                rows[-1].append(panel)
            else:
                rows.append([panel])
        return rows

    def _usual(self, output: Output) -> list[Panel]:
        by, name = self.key_of(output), output.name
        charts = []
        if self.time_of(output) is not None:
            charts = [
                Panel(of=name, column=[column], by=by, title=f"{name}: {column}")
                for column in numbers(output.flow.schema)
            ]
        return [*charts, Panel(show="table", of=name, title=name, wide=True)]

    def key_of(self, output: Output) -> str | None:
        """The column to tell rows apart by: the one that is named, or the first that is text."""
        schema = output.flow.schema
        if self.said.filter is not None:
            return self.said.filter if self.said.filter in schema else None
        return next((name for name, kind in schema.items() if kind == pl.String), None)

    def latest(self) -> dict[str, pl.DataFrame]:
        """The newest rows of each output; of one that is out of reach, none."""
        with self._one:
            return self._latest()

    def _latest(self) -> dict[str, pl.DataFrame]:
        wanted = {self.output(panel.of).name for panel in self.panels() if panel.show != "source"}
        wanted |= {panel.marks for panel in self.panels() if panel.marks}
        return {name: self._rows(self.outputs[name]) for name in sorted(wanted)}

    def _rows(self, output: Output) -> pl.DataFrame:
        try:
            if output.name not in self.views:
                schema, newest = output.flow.schema, self.time_of(output)
                self.views[output.name] = output.sink.view(schema, self.said.rows, newest)
            rows = self.views[output.name].latest()
        except PdsError as error:
            self.trouble[output.name] = str(error)
            self._forget(output.name)
            return pl.DataFrame(schema=output.flow.schema)
        self.trouble.pop(output.name, None)
        return rows

    def _forget(self, name: str) -> None:
        view = self.views.pop(name, None)
        if view is not None:
            view.close()

    def gauges(self) -> dict[str, dict[str, float]]:
        """By source, what its system says of itself; `rate` is what was added each second."""
        found = {}
        for node in self.plan.sources:
            try:
                found[node.name] = self._rated(node.name, node.source.gauges())
                self.trouble.pop(node.name, None)
            except PdsError as error:
                self.trouble[node.name] = str(error)
        return {name: values for name, values in found.items() if values}

    def _rated(self, name: str, values: dict[str, float]) -> dict[str, float]:
        if "added" not in values:
            return values
        now, added = time.monotonic(), values["added"]
        since, before = self._counted.get(name, (now, added))
        self._counted[name] = (now, added)
        return values | ({"rate": (added - before) / (now - since)} if now > since else {})

    def close(self) -> None:
        """Let go of all views."""
        for name in list(self.views):
            self._forget(name)

    def _check(self, panel: Panel) -> None:
        if panel.show == "source":
            return
        output = self.output(panel.of)
        schema = output.flow.schema
        for column in [*panel.column, *([panel.by] if panel.by else [])]:
            if column not in schema:
                what = f"the dashboard names {column!r}, which output {output.name} does not have"
                raise ConfigError(what, hint=nearest(column, schema))
        for text in (panel.where, panel.shade):
            if text is not None:
                condition(text, schema)
        if panel.marks:
            self.output(panel.marks)
        if panel.show == "bar" and not panel.by:
            raise ConfigError("a dashboard's bars need `by:`, a column")


def _wide(panel: Panel) -> bool:
    return panel.wide or panel.show == "source"
