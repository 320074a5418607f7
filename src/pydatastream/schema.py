"""The JSON Schema of a pipeline file, for editors and `pds schema`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic.json_schema import models_json_schema

from pydatastream.catalog import Kind, catalog
from pydatastream.config.dashboard import Dashboard
from pydatastream.config.declaration import BatchLimits, Checkpoint, ErrorPolicy
from pydatastream.config.descriptions import is_mapping, option
from pydatastream.core.component import Component
from pydatastream.core.format import FileFormat, Format, StreamFormat
from pydatastream.core.sink import Sink

Schema = dict[str, Any]
Classes = Iterable[type[Component]]

KINDS: tuple[Kind, ...] = ("source", "sink", "format", "operator")
NODES: dict[str, Kind] = {"source": "source", "output": "sink", "format": "format"}
PLACES = {Format: "format", StreamFormat: "format", FileFormat: "format", Sink: "output"}
"""A field of such a type takes any component of the kind."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PLACEHOLDER: Schema = {"type": "string", "pattern": r"\$\{[^}]+\}"}
"""`${VAR}` and `${VAR:default}` may stand wherever a plain value may."""

TEXT: Schema = {"type": "string"}
TEXTS: Schema = {"type": "array", "items": TEXT}
MAPPING: Schema = {"type": "object"}
INPUT: Schema = {"input": TEXT, "inputs": TEXTS}
PLACE: Schema = {"name": TEXT, **INPUT}
"""What a step may say beside its kind: its name, and where its rows come from."""

STEPS: Schema = {
    "if": {"required": ["functions"]},
    "else": {"properties": {"processor": {"items": {"$ref": "#/$defs/step"}}}},
}
"""Whoever lists Python files may have steps of their own, of which nothing is known here."""


def pipeline_schema() -> Schema:
    """What a pipeline file may hold, from the components that exist."""
    kinds = {kind: tuple(catalog().all(kind)) for kind in KINDS}
    components = [component for found in kinds.values() for component in found]
    known = _definitions([*components, Checkpoint, ErrorPolicy, BatchLimits, Dashboard])
    known |= {one.__name__: _typed(one, known) for one in kinds["source"] + kinds["format"]}
    known |= {one.__name__: _typed(one, known, **INPUT) for one in kinds["sink"]}
    known |= {base.__name__: {"$ref": f"#/$defs/{place}"} for base, place in PLACES.items()}
    known |= {place: _named(kinds[kind]) for place, kind in NODES.items()}
    known["step"] = _step(kinds["operator"], known)
    head: Schema = {"$schema": DIALECT, "title": "PyDataStream pipeline"}
    return {**head, **_closed(_parts(known)), **STEPS, "$defs": dict(sorted(known.items()))}


def _parts(known: Mapping[str, Schema]) -> Schema:
    source, output = {"$ref": "#/$defs/source"}, {"$ref": "#/$defs/output"}
    return {
        "name": TEXT,
        "source": source,
        "sources": {"type": "object", "additionalProperties": source},
        "processor": {"type": "array"},
        "output": output,
        "outputs": {"type": "object", "additionalProperties": output},
        "late": output,
        "checkpoint": _value(Checkpoint, known),
        "on_error": _value(ErrorPolicy, known),
        "batch": _value(BatchLimits, known),
        "dashboard": _value(Dashboard, known),
        "delivery": {"enum": ["exactly_once", "at_least_once"]},
        "functions": {"anyOf": [TEXT, TEXTS]},
        "tests": {"type": "array", "items": MAPPING},
    }


def _definitions(components: Classes) -> dict[str, Schema]:
    """Each class's own schema, by class name, and those it refers to."""
    _, schema = models_json_schema(
        [(component, "validation") for component in components],
        ref_template="#/$defs/{model}",
    )
    return {name: _open_to_placeholders(one) for name, one in schema.get("$defs", {}).items()}


def _typed(component: type[Component], known: Mapping[str, Schema], **extra: Schema) -> Schema:
    """A component that names itself by `type:`."""
    schema = known[component.__name__]
    kind = {"const": component.type_name()}
    return schema | {
        "properties": {"type": kind, **schema.get("properties", {}), **extra},
        "required": ["type", *schema.get("required", ())],
    }


def _named(components: Classes) -> Schema:
    """A component by its name alone, or by `type:` and options."""
    found = list(components)
    return {"anyOf": [_names(found), *map(_ref, found)]}


def _names(components: Classes) -> Schema:
    return {"enum": [component.type_name() for component in components]}


def _ref(component: type[Component]) -> Schema:
    return {"$ref": f"#/$defs/{component.__name__}"}


def _step(operators: Classes, known: Mapping[str, Schema]) -> Schema:
    """One step: `filter: ...`, or the long form, a function with `args:`."""
    kinds = {one.type_name(): _value(one, known) for one in operators}
    long = {"function": TEXT, "args": MAPPING, "schema": MAPPING}
    return {"anyOf": [_names(operators), _closed({**kinds, **PLACE, **long})]}


def _value(component: type[Component], known: Mapping[str, Schema]) -> Schema:
    """What stands after a component's key: its options, or a bare value for the primary one."""
    schema = known[component.__name__]
    about = {"description": schema.get("description", "").split("\n")[0]}
    return {**about, "anyOf": [*_bare(component, schema), *_optional(component, schema)]}


def _bare(component: type[Component], schema: Schema) -> list[Schema]:
    if component.primary is None:
        return []
    primary = schema["properties"][component.primary]
    return [primary, *_items(primary)]


def _items(schema: Schema) -> Iterator[Schema]:
    """What the lists that a schema takes may hold: one of them may stand alone."""
    if "items" in schema:
        yield schema["items"]
    for choice in schema.get("anyOf", ()):
        yield from _items(choice)


def _optional(component: type[Component], schema: Schema) -> list[Schema]:
    """Options by name, unless a mapping means the primary option; nothing, if none is needed."""
    primary = component.primary
    named = [] if primary and is_mapping(option(component, primary)) else [_ref(component)]
    return named if schema.get("required") else [*named, {"type": "null"}]


def _closed(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _open_to_placeholders(schema: Schema) -> Schema:
    opened = {name: _or_placeholder(one) for name, one in schema.get("properties", {}).items()}
    return schema | {"properties": opened} if opened else schema


def _or_placeholder(field: Schema) -> Schema:
    """The field's schema, or a placeholder where text would not do as it is."""
    is_free_text = field.get("type") == "string" and not {"pattern", "enum", "const"} & set(field)
    if is_free_text or "$ref" in field:
        return field
    about = {key: field[key] for key in ("description", "default", "title") if key in field}
    rest = {key: value for key, value in field.items() if key not in about}
    return about | {"anyOf": [rest, PLACEHOLDER]}
