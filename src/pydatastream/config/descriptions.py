"""Options become a component, or an error a person can act on."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from pydatastream.catalog import KINDS, Kind, catalog
from pydatastream.core.component import Component
from pydatastream.core.described import help_of
from pydatastream.core.errors import ConfigError, nearest

Path = tuple[str | int, ...]
C = TypeVar("C", bound=Component)


class BadOption(ConfigError):
    """An option does not fit; `path` leads to it.

    `wanted` says what would, without showing what was found.
    """

    def __init__(self, what: str, path: Path, *, hint: str | None = None, wanted: str = "") -> None:
        super().__init__(what, hint=hint)
        self.path = path
        self.wanted = wanted


def describe(cls: type[C], options: Mapping[str, Any], label: str | None = None) -> C:
    """A component with these options; `BadOption` for the first that does not fit."""
    label = label or cls.type_name()
    given = {key: _taken(cls, key, value) for key, value in _known(cls, options, label).items()}
    try:
        return cls.model_validate(given)
    except ValidationError as error:
        raise _translated(cls, error, given, label) from None


def options_of(cls: type[Component], value: Any) -> dict[str, Any]:
    """What stands after `type:` in a pipeline file, as options by name.

    A bare value sets the primary option; so does a mapping, if that option is one.
    """
    primary = cls.primary
    if isinstance(value, Mapping) and not (primary and is_mapping(option(cls, primary))):
        return dict(value)
    if value is None:
        return {}
    if primary is None:
        raise BadOption(
            f"{cls.type_name()} takes options by name, found {shown(value)}",
            (),
            hint=f"one of: {', '.join(option_names(cls))}",
        )
    single = is_list(option(cls, primary)) and not isinstance(value, Sequence | Mapping)
    text = isinstance(value, str) and is_list(option(cls, primary))
    return {primary: [value] if single or text else value}


def option_names(cls: type[BaseModel]) -> list[str]:
    """The names that options have in a pipeline file."""
    return [field.alias or name for name, field in cls.model_fields.items()]


def option(cls: type[BaseModel], name: str) -> FieldInfo | None:
    """The field behind an option, by its name or its alias."""
    by_alias = {field.alias: field for field in cls.model_fields.values() if field.alias}
    return by_alias.get(name) or cls.model_fields.get(name)


def is_list(field: FieldInfo | None) -> bool:
    """Whether an option takes a list, and text only as its one element."""
    kinds = set(_plain_types(field.annotation)) if field else set()
    return bool(kinds & {list, tuple, set, frozenset}) and str not in kinds


def is_mapping(field: FieldInfo | None) -> bool:
    """Whether an option takes a mapping."""
    kinds = _plain_types(field.annotation) if field else ()
    return any(isinstance(kind, type) and issubclass(kind, Mapping) for kind in kinds)


def is_secret(field: FieldInfo | None) -> bool:
    """Whether an option is masked wherever it is shown."""
    return field is not None and SecretStr in _plain_types(field.annotation)


def shown(value: Any) -> str:
    """A value as an error shows it, short and on one line."""
    text = {True: "true", False: "false"}.get(value) if isinstance(value, bool) else None
    text = text or ("nothing" if value is None else repr(value))
    return text if len(text) <= 60 else f"{text[:57]}..."


def _known(cls: type[Component], options: Mapping[str, Any], label: str) -> Mapping[str, Any]:
    for key in options:
        if option(cls, str(key)) is None:
            raise BadOption(
                f"{label} has no option {key!r}", (key,), hint=nearest(str(key), option_names(cls))
            )
    return options


def _taken(cls: type[Component], key: str, value: Any) -> Any:
    """The value as pydantic takes it: components made, blanks around numbers removed."""
    field = option(cls, key)
    kind = _component_kind(field) if field else None
    if kind and isinstance(value, str | Mapping):
        return _nested(key, kind, value)
    textual = not field or {str, SecretStr, Any} & set(_plain_types(field.annotation))
    return value.strip() if isinstance(value, str) and not textual else value


def _nested(key: str, kind: Kind, value: Any) -> Component:
    """A format, or a sink within another: `json`, or {type: json, strict: true}."""
    try:
        return component(kind, value)
    except BadOption as error:
        error.path = (key, *error.path)
        raise
    except ConfigError as error:
        path = (key, "type") if isinstance(value, Mapping) else (key,)
        raise BadOption(error.what, path, hint=error.hint) from None


def component(kind: Kind, value: Any) -> Component:
    """The component that a word, or a mapping with `type`, stands for."""
    given = {"type": value} if isinstance(value, str) else value
    if not isinstance(given, Mapping) or not isinstance(given.get("type"), str):
        raise BadOption(
            f"a {kind} needs its type, found {shown(value)}",
            (),
            hint=f"type: {' | '.join(catalog().names(kind))}",
        )
    cls = catalog().find(kind, given["type"])
    return describe(cls, {key: one for key, one in given.items() if key != "type"})


def _component_kind(field: FieldInfo) -> Kind | None:
    for kind in _plain_types(field.annotation):
        if isinstance(kind, type) and issubclass(kind, KINDS):
            return typing.cast("Kind", kind.kind)
    return None


def _plain_types(annotation: Any) -> Iterator[Any]:
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from _plain_types(typing.get_args(annotation)[0])
    elif origin in (typing.Union, types.UnionType):
        for part in typing.get_args(annotation):
            yield from _plain_types(part)
    else:
        yield origin or annotation


def _translated(
    cls: type[Component], error: ValidationError, given: Mapping[str, Any], label: str
) -> BadOption:
    errors = error.errors(include_url=False)
    first = errors[0]
    path = _within(first["loc"], given)
    if first["type"] == "missing":
        missing = str(first["loc"][0])
        return BadOption(f"{label} needs {missing!r}", (), hint=_about(cls, missing))
    same = [dict(one) for one in errors if one["loc"][:1] == first["loc"][:1]]
    what, _, hint = " or ".join(dict.fromkeys(map(_problem, same))).partition("\n  try: ")
    name = ".".join(map(str, path))
    told = first["type"] == "value_error"
    place = f"{label}: {name}{':' if told else ''} " if name else f"{label}: "
    secret = bool(path) and is_secret(option(cls, str(path[0])))
    found = "" if secret or told or not path else f", found {shown(_at(given, path))}"
    wanted = "" if told else what
    what = "does not fit" if secret and not wanted else what
    return BadOption(
        f"{place}{what}{found}", path, hint=hint or _hint(first["type"]), wanted=wanted
    )


_PROBLEMS = {
    r"int_.*": "must be a whole number",
    r"float_.*|decimal_.*": "must be a number",
    r"bool_.*": "must be true or false",
    r"string_type": "must be text",
    r"(list|tuple|set|frozen_set)_type": "must be a list",
    r"(dict|mapping|model|dataclass)_(attributes_)?type|model_type": "must be a mapping",
    r"greater_than": "must be greater than {gt}",
    r"greater_than_equal": "must be at least {ge}",
    r"less_than": "must be less than {lt}",
    r"less_than_equal": "must be at most {le}",
    r"literal_error|enum": "must be {expected}",
}


def _problem(error: dict[str, Any]) -> str:
    for kind, text in _PROBLEMS.items():
        if re.fullmatch(kind, error["type"]):
            return text.format(**error.get("ctx", {}))
    words = str(error["msg"]).removeprefix("Value error, ")
    return words if error["type"] == "value_error" else f"{words[:1].lower()}{words[1:]}"


def _hint(kind: str) -> str | None:
    return "quote it if it is meant as text" if kind == "string_type" else None


def _about(cls: type[BaseModel], name: str) -> str:
    fields = {field.alias or one: one for one, field in cls.model_fields.items()}
    told = help_of(cls).get(fields.get(name, name), "").partition("\n")[0]
    return f"`{name}:` {told[:1].lower()}{told[1:]}".strip()


def _within(loc: Sequence[str | int], given: Any) -> Path:
    """The part of pydantic's path that leads through the options."""
    path: list[str | int] = []
    for key in loc:
        inside = isinstance(given, Mapping) and key in given
        if not inside and not (isinstance(given, list) and isinstance(key, int)):
            break
        path.append(key)
        given = given[key]
    return tuple(path)


def _at(given: Any, path: Path) -> Any:
    for key in path:
        given = given[key]
    return given
