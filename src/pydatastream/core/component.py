"""What every source, sink, format and operator has in common: a typed description."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from pydatastream.core.described import Described


def snake(name: str) -> str:
    """CamelCase as snake_case.

    >>> snake("MapRows")
    'map_rows'
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


class Component(Described):
    """The description half: without any I/O."""

    kind: ClassVar[str] = "component"
    """The room it belongs to: source, sink, format or operator."""

    primary: ClassVar[str | None] = None
    """The field that a bare value sets: `filter: temperature > 10`."""

    spread: ClassVar[str | None] = None
    """The mapping field that takes unknown keywords in Python: `.tumbling("1m", n="count(*)")`."""

    env: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Environment variables that users were promised, by the field that they set."""

    example: ClassVar[str] = ""
    """One short example as YAML, shown in the reference and run by the tests."""

    @classmethod
    def type_name(cls) -> str:
        """The word for it in a pipeline file: `FileSource` is `file`."""
        return snake(re.sub(rf"(?<=.){cls.kind}$", "", cls.__name__, flags=re.IGNORECASE))

    def check(self) -> None:
        """Reach what it names, and change nothing (I/O); `ConfigError` if that cannot be done."""

    def options(self) -> dict[str, Any]:
        """The fields that were set, as plain data; secrets stay masked.

        A component within is its type's name, or a mapping with `type` and its options.
        """
        plain = self.model_dump(mode="json", by_alias=True, exclude_unset=True)
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if name in self.model_fields_set and isinstance(value, Component):
                inside = value.options()
                word = value.type_name()
                plain[field.alias or name] = {"type": word, **inside} if inside else word
        return plain
