"""Descriptions: frozen, typed, and with a help text for every field."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler

if TYPE_CHECKING:
    from pydantic_core import CoreSchema


class Described(BaseModel):
    """What stands in a pipeline file.

    A string under a field becomes its help text, in the command, the schema and the docs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        told = handler(schema)
        properties = handler.resolve_ref_schema(told).get("properties", {})
        for name, text in help_of(cls).items():
            field = cls.model_fields.get(name)
            if field and (option := properties.get(field.alias or name)) is not None:
                option.setdefault("description", text)
        return told


@cache
def help_of(cls: type[BaseModel]) -> Mapping[str, str]:
    """The help texts of a class by field.

    They are read from the source when somebody asks: every run would pay for it otherwise. Where
    there is no source, as of a class made while running, there are none.
    """
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if issubclass(base, Described) and base is not Described:
            found |= _texts(base)
    return found


def _texts(cls: type) -> dict[str, str]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError):
        return {}
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
        if isinstance(text.value.value, str)
    }
