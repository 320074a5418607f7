"""A pipeline as it was declared, in YAML or in Python: pure data, nothing checked yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

from pydantic import Field

from pydatastream.config.dashboard import Dashboard
from pydatastream.config.environment import Found
from pydatastream.core.component import Component
from pydatastream.core.operator import Operator
from pydatastream.core.sink import Sink
from pydatastream.core.source import Source
from pydatastream.core.times import Duration
from pydatastream.core.types import Columns

Policy = Literal["dead_letter", "fail", "skip"]


class Checkpoint(Component):
    """Where a run remembers how far it has come."""

    primary: ClassVar[str | None] = "path"

    path: str
    """A directory of its own."""
    interval: Duration = "1s"
    """The time between two epochs."""


class ErrorPolicy(Component):
    """What becomes of a row that cannot be processed."""

    primary: ClassVar[str | None] = "policy"

    policy: Policy = "dead_letter"
    """dead_letter: set it aside; fail: stop; skip: count it."""
    output: Sink | None = None
    """Where dead letters go."""


class BatchLimits(Component):
    """How large a batch may become."""

    rows: int | None = Field(None, gt=0)
    """At most so many rows."""
    bytes: int | None = Field(None, gt=0)
    """At most so many bytes."""


class Custom(Component):
    """A step made by a Python function that the pipeline's files define."""

    function: str
    """The function's name."""
    args: dict[str, Any] = Field(default_factory=dict)
    """Its keyword arguments."""
    columns: Columns | None = Field(None, alias="schema")
    """The columns it gives; without it, it is tried once on no rows."""


C = TypeVar("C", bound=Component)


@dataclass(frozen=True, slots=True)
class Declared(Generic[C]):
    """A component in a pipeline, and what its place in the file tells."""

    component: C
    name: str | None = None
    """None: named after its type when the pipeline is planned."""
    inputs: tuple[str, ...] = ()
    """None given: the step before."""
    written: Mapping[str, Any] | None = None
    """The options as the file has them, with `${...}`; None: declared in Python."""
    where: str | None = None
    """file:line:column of the node."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """Which option came from where."""
    filled: Mapping[str, Any] = field(default_factory=dict)
    """Options whose value came from outside, as they may be shown."""
    overrides: Mapping[str, Found] = field(default_factory=dict)
    """Variables that may set arguments of a custom function."""

    @property
    def type(self) -> str:
        """The word for it in a pipeline file."""
        part = self.component
        return part.function if isinstance(part, Custom) else part.type_name()


@dataclass(frozen=True, slots=True)
class Declaration:
    """Everything that a pipeline file, or a chain of calls, says."""

    name: str = "pipeline"
    sources: tuple[Declared[Source], ...] = ()
    steps: tuple[Declared[Operator | Custom], ...] = ()
    outputs: tuple[Declared[Sink], ...] = ()
    late: Declared[Sink] | None = None
    on_error: Declared[ErrorPolicy] | None = None
    checkpoint: Declared[Checkpoint] | None = None
    batch: Declared[BatchLimits] | None = None
    delivery: Literal["exactly_once", "at_least_once"] = "exactly_once"
    functions: tuple[str, ...] = ()
    """Python files, relative to `folder`."""
    dashboard: Declared[Dashboard] | None = None
    tests: tuple[Mapping[str, Any], ...] = ()
    """Tests as the file has them."""
    folder: Path = Path()
    where: str | None = None
    """The pipeline file."""


def names(types: Iterable[tuple[str | None, str]]) -> list[str]:
    """The names of nodes given as (name, type): the type, numbered when it repeats.

    >>> names([(None, "filter"), ("hot", "filter"), (None, "filter")])
    ['filter', 'hot', 'filter_2']
    """
    nodes = list(types)
    taken = {name for name, _ in nodes if name}
    found: list[str] = []
    for name, kind in nodes:
        found.append(name or _free(kind, {*taken, *found}))
    return found


def _free(kind: str, taken: set[str]) -> str:
    number = 2
    name = kind
    while name in taken:
        name, number = f"{kind}_{number}", number + 1
    return name


def names_of(nodes: Sequence[Declared[Any]], default: str | None = None) -> list[str]:
    """The names of declared nodes; `default` stands for the type if given."""
    return names((node.name, default or node.type) for node in nodes)
