"""Stages: neighbouring row operators are run as one Polars query, the rest one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import polars as pl

from pydatastream.core.batch import Emission, Emitted, Refused
from pydatastream.core.operator import Kernel, RowOperator
from pydatastream.core.plan import Plan, Step
from pydatastream.core.state import State
from pydatastream.engines.local.guard import STOPS, guarded

IN_ORDER = pl.QueryOptFlags(predicate_pushdown=False, projection_pushdown=False)
"""A filter must not move before a step that may refuse a row, nor a column go unread: else
whether a row is refused would depend on its neighbours."""

Query = Callable[[pl.LazyFrame], pl.LazyFrame]


@dataclass(frozen=True, slots=True)
class Stage:
    """One or several steps that run together; it is named after the last one."""

    steps: tuple[Step, ...]
    plan: Plan

    @property
    def name(self) -> str:
        return self.steps[-1].name

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.steps[0].inputs

    @property
    def aggregates(self) -> bool:
        """Whether the rows that come out stand for several that came in."""
        return self.steps[-1].operator.aggregates

    def open(self, states: Mapping[str, State]) -> Kernel:
        """A kernel for these steps."""
        step = self.steps[-1]
        if isinstance(step.operator, RowOperator):
            return Chain({one.name: _query(one, self.plan) for one in self.steps})
        return step.operator.open(states[step.name], *self.plan.input_flows(step))


class Chain(Kernel):
    """Row operators as one query; if it fails, step by step, to name the row at fault."""

    def __init__(self, queries: Mapping[str, Query]) -> None:
        self._queries = queries

    def on_batch(self, rows: pl.DataFrame, port: int = 0) -> Emission:  # noqa: ARG002
        try:
            yield self._at_once(rows)
        except STOPS:
            raise
        except BaseException:  # noqa: BLE001 - found again below, row by row
            yield from self._one_by_one(rows)

    def _at_once(self, rows: pl.DataFrame) -> pl.DataFrame:
        query = rows.lazy()
        for step in self._queries.values():
            query = step(query)
        return query.collect(optimizations=IN_ORDER, engine="in-memory")

    def _one_by_one(self, rows: pl.DataFrame) -> Iterator[Emitted]:
        for name, query in self._queries.items():
            parts = guarded(lambda piece, q=query: [q(piece.lazy()).collect()], rows)  # type: ignore[misc]
            yield from (replace(one, step=name) for one in parts if isinstance(one, Refused))
            rows = pl.concat([one for one in parts if isinstance(one, pl.DataFrame)] or [rows[:0]])
            if not rows.height:
                return
        yield rows


def stages(plan: Plan) -> list[Stage]:
    """The steps of a plan in stages, in an order in which each follows its inputs."""
    readers = Counter(ref for step in plan.steps for ref in step.inputs)
    readers.update(output.input for output in plan.outputs)
    groups: list[list[Step]] = []
    for step in plan.steps:
        before = groups[-1][-1] if groups else None
        if before is not None and _joins(before, step) and readers[before.name] == 1:
            groups[-1].append(step)
        else:
            groups.append([step])
    return [Stage(tuple(group), plan) for group in groups]


def _joins(before: Step, step: Step) -> bool:
    rowwise = isinstance(before.operator, RowOperator) and isinstance(step.operator, RowOperator)
    return rowwise and step.inputs == (before.name,)


def _query(step: Step, plan: Plan) -> Query:
    operator = step.operator
    assert isinstance(operator, RowOperator)  # noqa: S101 - narrows the type
    return operator.query(plan.input_flows(step)[0])
