"""Pipelines in Python: every step of the catalog is a method."""

from __future__ import annotations

import dataclasses
import importlib
import keyword
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

import polars as pl

from pydatastream import planning
from pydatastream.catalog import catalog
from pydatastream.config import functions, loading, yaml_text
from pydatastream.config.declaration import (
    BatchLimits,
    Checkpoint,
    Declaration,
    Declared,
    ErrorPolicy,
    names_of,
)
from pydatastream.config.descriptions import describe, is_list, option, options_of
from pydatastream.core.component import Component
from pydatastream.core.errors import ConfigError, nearest
from pydatastream.core.plan import Plan
from pydatastream.core.sink import Sink
from pydatastream.core.source import Source

P = ParamSpec("P")
C = TypeVar("C", bound=Component)
Inputs = str | Sequence[str] | None


class _EitherWay(Generic[P]):
    """A method that, called on the class, starts with an empty pipeline."""

    def __init__(self, method: Callable[Concatenate[Pipeline, P], Pipeline]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __get__(self, pipeline: Pipeline | None, _: type[Pipeline]) -> Callable[P, Pipeline]:
        def call(*args: P.args, **kwargs: P.kwargs) -> Pipeline:
            return self._method(Pipeline() if pipeline is None else pipeline, *args, **kwargs)

        call.__doc__ = self.__doc__
        return call


class Pipeline:
    """A pipeline as declared; every call gives a new one and changes none.

    Each step of the catalog is a method by its name; a Python keyword takes a trailing underscore:
    `.with_(f="temperature * 1.8 + 32")`. A step takes the rows of the one before, or of the source
    just added, unless `inputs=` names others; `name=` gives it a name of its own.

    >>> Pipeline("hot")
    Pipeline('hot')
    """

    def __init__(
        self,
        name: str = "pipeline",
        declaration: Declaration | None = None,
        latest: str | None = None,
    ) -> None:
        self.declaration = declaration or Declaration(name)
        self._latest = latest  # the source just added beside others: the next step takes it

    @classmethod
    def load(cls, path: str | Path, *, python: bool = True) -> Pipeline:
        """The pipeline of a YAML file, of which nothing is executed, or of a Python file.

        A Python file is run; it defines one pipeline, or calls one of several `pipeline`.
        """
        if Path(path).suffix != ".py":
            return cls(declaration=loading.load(path))
        if not python:
            raise ConfigError("Python files are refused here", where=str(path))
        return _only(vars(functions.executed(Path(path))), str(path))

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return self.declaration.name

    def source(self, source: Source, name: str | None = None) -> Pipeline:
        """Read from a source; the next step takes it."""
        said = self._settled() if self.declaration.sources else self.declaration
        sources = (*said.sources, Declared(source, name))
        latest = names_of(sources, "source")[-1] if said.sources else None
        return Pipeline(declaration=dataclasses.replace(said, sources=sources), latest=latest)

    @_EitherWay
    def read(self, type: str, /, *values: Any, name: str | None = None, **options: Any) -> Pipeline:  # noqa: A002
        """Read from the source of this type: `Pipeline.read("file", path="data/*.jsonl")`."""
        return self.source(_made(catalog().find("source", type), values, options), name)

    def to(self, sink: Sink, name: str | None = None, input: str | None = None) -> Pipeline:  # noqa: A002
        """Write to a sink what the last step gives, or the one that `input` names."""
        output = Declared(sink, name, _refs(input or self._latest))
        return self._with(outputs=(*self.declaration.outputs, output))

    def write(
        self, type: str, /, *values: Any, name: str | None = None, input: str | None = None,  # noqa: A002
        **options: Any,
    ) -> Pipeline:  # fmt: skip
        """Write to the sink of this type: `.write("file", path="out/", format="json")`."""
        return self.to(_made(catalog().find("sink", type), values, options), name, input)

    def late(self, sink: Sink | str, /, **options: Any) -> Pipeline:
        """Write rows that came too late to a sink of their own."""
        return self._with(late=Declared(_sink(sink, options)))

    def on_error(
        self, policy: str = "dead_letter", output: Sink | str | None = None, /, **options: Any
    ) -> Pipeline:
        """What becomes of a row that fails: "dead_letter", "fail" or "skip"."""
        given: dict[str, Any] = {"policy": policy}
        given |= {"output": _sink(output, options)} if output is not None else {}
        return self._with(on_error=Declared(describe(ErrorPolicy, given)))

    def checkpoint(self, path: str | Path, interval: str = "1s") -> Pipeline:
        """Remember in a directory how far the run has come, and resume there."""
        given = {"path": str(path), "interval": interval}
        return self._with(checkpoint=Declared(describe(Checkpoint, given)))

    def batch(self, rows: int | None = None, bytes: int | None = None) -> Pipeline:  # noqa: A002
        """Limit the size of a batch."""
        given = {"rows": rows, "bytes": bytes}
        limits = {key: value for key, value in given.items() if value is not None}
        return self._with(batch=Declared(describe(BatchLimits, limits)))

    def delivery(self, mode: str) -> Pipeline:
        """Ask for "exactly_once" (the default) or "at_least_once"."""
        if mode not in ("exactly_once", "at_least_once"):
            raise ConfigError(
                f"no delivery is called {mode!r}",
                hint=nearest(mode, ("exactly_once", "at_least_once")),
            )
        return self._with(delivery=mode)

    def plan(self, *, offline: bool = False, python: bool = True) -> Plan:
        """The checked plan; `ConfigError` for what does not fit."""
        return planning.plan(self.declaration, offline=offline, python=python)

    def explain(self, *, offline: bool = False) -> str:
        """The plan as text."""
        return self.plan(offline=offline).explain()

    def to_yaml(self) -> str:
        """The pipeline file that declares the same."""
        return yaml_text.to_yaml(self.declaration)

    def run(self, *, engine: str = "local", **settings: Any) -> Any:
        """Run the pipeline to its end; settings given here win over the pipeline's own."""
        room = importlib.import_module(f"pydatastream.engines.{engine}")
        return room.run(self.plan(), room.Settings(**self.settings(**settings)))

    def collect(self, **settings: Any) -> pl.DataFrame:
        """Run a pipeline that ends, and give the rows of its last step."""
        sink = catalog().find("sink", "memory")()
        bare = self._with(outputs=(), checkpoint=None, late=None)
        try:
            bare.to(sink, name="collected").run(**settings)
            return sink.frame()  # type: ignore[attr-defined,no-any-return]
        finally:
            sink.forget()  # type: ignore[attr-defined]

    def settings(self, **given: Any) -> dict[str, Any]:
        """What the pipeline says of how it is run, in an engine's words; what is given wins."""
        return planning.settings(self.declaration, given)

    def __getattr__(self, name: str) -> Callable[..., Pipeline]:
        """A step of the catalog as a method."""
        step = name[:-1] if name[-1] == "_" and keyword.iskeyword(name[:-1]) else name
        if name[0] == "_" or not catalog().has("operator", step):
            hint = "" if name[0] == "_" else f": {nearest(name, dir(self))}"
            raise AttributeError(f"a pipeline has no step {name!r}{hint}", name=name, obj=self)
        cls = catalog().find("operator", step)

        def add(
            *values: Any, name: str | None = None, inputs: Inputs = None, **options: Any
        ) -> Pipeline:
            taken = inputs if inputs is not None else options.pop("input", None)
            return self._then(Declared(_made(cls, values, options), name, _refs(taken)))

        add.__name__, add.__doc__ = name, cls.__doc__
        return add

    def __dir__(self) -> list[str]:
        steps = catalog().names("operator")
        own = [one for one in super().__dir__() if one[0] != "_"]
        return sorted([*own, *(f"{one}_" if keyword.iskeyword(one) else one for one in steps)])

    def __repr__(self) -> str:
        said = self.declaration
        parts: list[Declared[Any]] = [*said.sources, *said.steps, *said.outputs]
        return f"Pipeline({self.name!r}{''.join(f' -> {one.type}' for one in parts)})"

    def _with(self, **changes: Any) -> Pipeline:
        return Pipeline(declaration=dataclasses.replace(self.declaration, **changes))

    def _then(self, step: Declared[Any]) -> Pipeline:
        """With one more step; what is already written stays where it is."""
        said = self._settled() if self.declaration.outputs else self.declaration
        if step.name is not None and step.name in names_of(said.steps):
            raise ConfigError(f"the name {step.name!r} is taken by a step")
        taken = _wired(step, self._latest)
        return Pipeline(declaration=dataclasses.replace(said, steps=(*said.steps, taken)))

    def _settled(self) -> Declaration:
        """The declaration with the inputs named that more nodes would move."""
        said = self.declaration
        sources, steps = names_of(said.sources, "source"), names_of(said.steps)
        first = tuple(_wired(step, *sources[:1]) for step in said.steps[:1])
        last = (steps or sources)[-1:]
        outputs = tuple(_wired(one, *last) for one in said.outputs)
        return dataclasses.replace(said, steps=(*first, *said.steps[1:]), outputs=outputs)


def _wired(node: Declared[Any], ref: str | None = None) -> Declared[Any]:
    return node if node.inputs else dataclasses.replace(node, inputs=_refs(ref))


def _only(names: Mapping[str, Any], where: str) -> Pipeline:
    found = {name: one for name, one in names.items() if isinstance(one, Pipeline)}
    if "pipeline" in found or len(found) == 1:
        return found.get("pipeline") or next(iter(found.values()))
    told = ", ".join(found) or "none"
    raise ConfigError(
        f"a pipeline file defines one pipeline, found {told}",
        where=where,
        hint="give the name `pipeline` to the one that is meant",
    )


def _made(cls: type[C], values: Sequence[Any], options: Mapping[str, Any]) -> C:
    """The component that a call describes: positional values are the primary option."""
    given = _positional(cls, values)
    for key, value in options.items():
        known = option(cls, key) is not None
        if not known and key[-1] == "_" and option(cls, key[:-1]):
            given[key[:-1]] = value
        elif known or cls.spread is None:
            given[key] = value
        else:
            given[cls.spread] = {**given.get(cls.spread, {}), key: value}
    return describe(cls, given)


def _positional(cls: type[Component], values: Sequence[Any]) -> dict[str, Any]:
    if len(values) > 1 and not (cls.primary and is_list(option(cls, cls.primary))):
        raise ConfigError(f"{cls.type_name()} takes one value without a name, found {len(values)}")
    if callable(one := values[0] if values else None) and cls.primary:
        return {cls.primary: one}
    return options_of(cls, list(values) if len(values) > 1 else one)


def _refs(inputs: Inputs) -> tuple[str, ...]:
    if inputs is None:
        return ()
    return (inputs,) if isinstance(inputs, str) else tuple(inputs)


def _sink(sink: Sink | str, options: Mapping[str, Any]) -> Sink:
    if isinstance(sink, str):
        return _made(catalog().find("sink", sink), (), options)
    return sink
