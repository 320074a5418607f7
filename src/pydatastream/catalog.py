"""What exists: every source, sink, format and operator, found by looking into the rooms.

There is no list to edit. A component is a class in a module of a room, or in a module that an
installed package names in the entry point group `pydatastream.components`.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, overload

from pydatastream.core.component import Component
from pydatastream.core.errors import ConfigError, nearest
from pydatastream.core.format import Format
from pydatastream.core.operator import Operator
from pydatastream.core.sink import Sink
from pydatastream.core.source import Source

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ROOMS = ("connectors", "formats", "operators", "ml")
ENTRY_POINTS = "pydatastream.components"
KINDS = (Source, Sink, Format, Operator)

Kind = Literal["source", "sink", "format", "operator"]
Found = Mapping[tuple[str, str], type[Component]]


@dataclass(frozen=True, slots=True)
class Catalog:
    """Component classes by kind and name.

    >>> catalog = Catalog.of([])
    >>> catalog.all("operator")
    []
    """

    classes: Found

    @classmethod
    def of(cls, components: Iterable[type[Component]]) -> Catalog:
        """A catalog of these classes; `ConfigError` if two have the same kind and name."""
        found: dict[tuple[str, str], type[Component]] = {}
        for component in components:
            first = found.setdefault((component.kind, component.type_name()), component)
            if first is not component:
                raise _twice(first, component)
        return cls(dict(sorted(found.items())))

    @overload
    def find(self, kind: Literal["source"], name: str) -> type[Source]: ...
    @overload
    def find(self, kind: Literal["sink"], name: str) -> type[Sink]: ...
    @overload
    def find(self, kind: Literal["format"], name: str) -> type[Format]: ...
    @overload
    def find(self, kind: Literal["operator"], name: str) -> type[Operator]: ...
    def find(self, kind: Kind, name: str) -> type[Any]:
        """The class of that name; `ConfigError` with the nearest name if there is none."""
        try:
            return self.classes[kind, name]
        except KeyError:
            hint = nearest(name, self.names(kind))
            raise ConfigError(f"no {kind} is called {name!r}", hint=hint) from None

    def has(self, kind: Kind, name: str) -> bool:
        """Whether a component of that kind and name exists."""
        return (kind, name) in self.classes

    def all(self, kind: Kind) -> list[type[Component]]:
        """Every class of a kind, by name."""
        return [found for (of, _), found in self.classes.items() if of == kind]

    def names(self, kind: Kind) -> list[str]:
        """Every name of a kind, sorted."""
        return [name for of, name in self.classes if of == kind]


class Rooms(Mapping[tuple[str, str], type[Component]]):
    """Every component there is; one that is asked for by name costs only its own module.

    A module is named after what it holds, so the modules whose names begin like the component's
    are looked into first, and all of them only when the component is not there.
    """

    def __getitem__(self, key: tuple[str, str]) -> type[Component]:
        return self._near.get(key) or self._begun_like(*key) or self._all[key]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    @cached_property
    def _near(self) -> dict[tuple[str, str], type[Component]]:
        return {}

    @cached_property
    def _all(self) -> Found:
        modules = map(_loaded, _entries())
        installed = [*map(importlib.import_module, _names()), *modules]
        return Catalog.of(one for module in installed for one in components_in(module)).classes

    def _begun_like(self, kind: str, name: str) -> type[Component] | None:
        for module in _names():
            if module.rpartition(".")[2].startswith(name):
                found = components_in(importlib.import_module(module))
                self._near.update({(one.kind, one.type_name()): one for one in found})
        return self._near.get((kind, name))


@cache
def catalog() -> Catalog:
    """Everything that is installed; looked up once."""
    return Catalog(Rooms())


def components_in(module: ModuleType) -> Iterator[type[Component]]:
    """The component classes that a module itself defines."""
    for value in vars(module).values():
        own = inspect.isclass(value) and value.__module__ == module.__name__
        if own and issubclass(value, KINDS) and _concrete(value):
            yield value


def _concrete(component: type[Component]) -> bool:
    return not component.__name__.startswith("_") and not inspect.isabstract(component)


def _names() -> Iterator[str]:
    for room in ROOMS:
        package = importlib.import_module(f"pydatastream.{room}")
        for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            yield info.name


def _entries() -> list[EntryPoint]:
    metadata = importlib.import_module("importlib.metadata")  # slow to load, seldom asked
    return sorted(metadata.entry_points(group=ENTRY_POINTS))


def _loaded(entry: EntryPoint) -> ModuleType:
    try:
        return importlib.import_module(entry.module)
    except Exception as error:
        raise ConfigError(
            f"the components in {entry.module!r} cannot be loaded: {error}",
            hint="install what it needs, or uninstall the package that names it",
        ) from error


def _twice(first: type[Component], second: type[Component]) -> ConfigError:
    where = " and ".join(f"{one.__module__}.{one.__name__}" for one in (first, second))
    return ConfigError(f"two {first.kind}s are called {first.type_name()!r}: {where}")
