"""The components of the catalog as the command speaks of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import get_args

from pydatastream.catalog import Kind, catalog
from pydatastream.core.component import Component
from pydatastream.core.errors import ConfigError, nearest
from pydatastream.core.sink import Sink
from pydatastream.core.source import Source

KINDS: tuple[Kind, ...] = get_args(Kind)
WORDS: dict[str, Kind] = {
    **{kind: kind for kind in KINDS},
    **{f"{kind}s": kind for kind in KINDS},
    "step": "operator",
    "steps": "operator",
    "output": "sink",
    "outputs": "sink",
}
"""What a kind may be called on the command line."""


@dataclass(frozen=True, slots=True)
class Line:
    """One component in a list."""

    kind: Kind
    name: str
    summary: str
    delivery: str
    """Of a sink: how often a row can appear; of a source: how it is read after a crash."""

    def plain(self) -> dict[str, str]:
        """The line as JSON has it."""
        return {key: one for key, one in asdict(self).items() if one}


def kind_of(word: str) -> Kind:
    """The kind that a word stands for; `ConfigError` if it is none."""
    if word not in WORDS:
        hint = nearest(word, WORDS) if len(word) > 2 else f"one of: {', '.join(KINDS)}"
        raise ConfigError(f"there is no kind {word!r}", hint=hint)
    return WORDS[word]


def lines(kind: Kind) -> list[Line]:
    """Every component of a kind, by name."""
    return [
        Line(kind, one.type_name(), (one.__doc__ or "").partition("\n")[0], delivery(one))
        for one in catalog().all(kind)
    ]


def delivery(component: type[Component]) -> str:
    """What a connector promises when things fail; empty for other components."""
    if issubclass(component, Sink):
        return component.delivery.replace("_", " ")
    if issubclass(component, Source):
        return "read again" if component.replayable else "spooled"
    return ""
