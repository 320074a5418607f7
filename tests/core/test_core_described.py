"""Help texts: those of the class itself and of what it is made of, by option name."""

import pytest
from pydantic import Field

from pydatastream.core.described import Described, help_of


class Inner(Described):
    depth: int = 1
    """How deep.

    Measured in metres.
    """
    plain: int = 2


class Outer(Inner):
    """Says nothing of `depth`."""

    columns: str = Field("", alias="schema")
    """Which columns."""
    depth: int = 3
    told: int = Field(4, description="In its own words.")
    """Not this."""


def test_texts_of_bases_hold_where_a_class_says_nothing():
    assert help_of(Inner) == {"depth": "How deep.\n\nMeasured in metres."}
    assert help_of(Outer) == {**help_of(Inner), "columns": "Which columns.", "told": "Not this."}


def test_the_schema_shows_them_under_the_names_in_the_file():
    properties = Outer.model_json_schema()["properties"]
    assert properties["schema"]["description"] == "Which columns."
    assert properties["depth"]["description"] == "How deep.\n\nMeasured in metres."
    assert properties["told"]["description"] == "In its own words."
    assert "description" not in properties["plain"]


@pytest.mark.parametrize("module", ["__main__", "nowhere"])
def test_a_class_without_a_file_has_no_texts(module):
    typed = type("Typed", (Described,), {"__module__": module, "__annotations__": {"n": int}})
    assert help_of(typed) == {}
    assert typed(n=1).n == 1
