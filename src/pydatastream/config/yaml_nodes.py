"""Safe YAML: values that know their place, and none of the parts that surprise.

Refused, each with file:line:column: tags, anchors, aliases, merge keys, duplicate keys, several
documents, more than 1 MiB, more than 64 levels, and the bare words yes, no, on, off.
Scalars are read by the core schema of YAML 1.2; keys are always text.

References: yaml.org/spec/1.2.2, section 10.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from pydatastream.core.errors import ConfigError

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_DIGITS = 4000
"""A longer number stays text: Python refuses to convert it."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_AMBIGUOUS = re.compile(r"yes|no|on|off", re.IGNORECASE)
_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file that an editor can open; lines and columns count from 1.

    Line 0: a place in a program's own mapping, which `file` names.
    """

    file: str
    line: int
    column: int

    @property
    def row(self) -> str:
        """The place without its column."""
        return f"file {self.file}:{self.line}" if self.line else self.file

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Node:
    """A value of a YAML file: text, number, bool, None, or a list or dict of nodes."""

    value: Any
    place: Place
    keys: Mapping[str, Place]
    """Where each key of a mapping stands."""

    def plain(self) -> Any:
        """The value without its places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def place_of(self, *path: str | int) -> Place:
        """Where the value under these keys stands, as far down as they lead."""
        match self.value, path:
            case dict(), (str(key), *rest) if key in self.value:
                return self.value[key].place_of(*rest) if rest else self.keys[key]
            case list(), (int(number), *rest) if number < len(self.value):
                found: Node = self.value[number]
                return found.place_of(*rest)
        return self.place

    def error(self, what: str, *path: str | int, hint: str | None = None) -> ConfigError:
        """An error at this node, or at the value under these keys."""
        return ConfigError(what, where=str(self.place_of(*path)), hint=hint)


def leaf(value: Any, place: Place) -> Node:
    """A node of a value that holds no other."""
    return Node(value, place, {})


def given(value: Any, name: str) -> Node:
    """A program's own mapping as a node; places are the keys that lead there.

    >>> given({"source": {"type": "zeromq"}}, "config").place_of("source", "type").file
    'config.source.type'
    """
    place = Place(name, 0, 0)
    if isinstance(value, Mapping):
        inner: Any = {str(key): given(one, f"{name}.{key}") for key, one in value.items()}
        return Node(inner, place, {key: one.place for key, one in inner.items()})
    if isinstance(value, list | tuple):
        return Node([given(one, f"{name}[{n}]") for n, one in enumerate(value)], place, {})
    return leaf(value, place)


def read(text: str | bytes, file: str) -> Node:
    """The only document of a YAML text; `ConfigError` with the place of what is wrong."""
    words = _decoded(text, file)
    try:
        return _Walk(yaml.parse(words, Loader=_LOADER), file).document()
    except yaml.YAMLError as error:
        raise _unreadable(error, words, file) from None


def scalar(text: str) -> Any:
    """What a bare word stands for, by the core schema of YAML 1.2.

    >>> [scalar(word) for word in ("10", "010", "1e3", "true", "0x10", "1:30", "~")]
    [10, 10, 1000.0, True, 16, '1:30', None]
    """
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > MAX_DIGITS:
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if not _FLOAT.fullmatch(text):
        return text
    return float(text.replace(".", "") if text[-1] in "fFnN" else text)


def _decoded(text: str | bytes, file: str) -> str:
    size = len(text) if isinstance(text, bytes) else len(text.encode())
    if size > MAX_BYTES:
        raise ConfigError(f"the file has {size:,} bytes; at most {MAX_BYTES:,}", where=file)
    if isinstance(text, str):
        return text
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise ConfigError("not UTF-8 text", where=f"{file}:{line}:1") from None


class _Walk:
    """Turns the parser's events into nodes, refusing what is not plain data."""

    def __init__(self, events: Iterator[Any], file: str) -> None:
        self._events = events
        self._file = file

    def document(self) -> Node:
        events = self._events
        next(events)
        if isinstance(next(events), yaml.StreamEndEvent):
            raise ConfigError("the file is empty", where=self._file)
        node = self._node(next(events), 1)
        next(events)
        last = next(events)
        if not isinstance(last, yaml.StreamEndEvent):
            raise self._refuse(last, "a second document", "one file holds one pipeline")
        return node

    def _node(self, event: Any, depth: int) -> Node:
        self._check(event, depth)
        if isinstance(event, yaml.ScalarEvent):
            return leaf(self._scalar(event), self._place(event))
        if isinstance(event, yaml.SequenceStartEvent):
            return Node(self._items(depth), self._place(event), {})
        return self._mapping(event, depth)

    def _items(self, depth: int) -> list[Node]:
        items = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return items

    def _mapping(self, start: Any, depth: int) -> Node:
        values: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, depth)
            if key in values:
                raise self._refuse(
                    event,
                    f"the key {key!r} for the second time",
                    f"the first stands in line {keys[key].line}",
                )
            keys[key] = self._place(event)
            values[key] = self._node(next(self._events), depth + 1)
        return Node(values, self._place(start), keys)

    def _key(self, event: Any, depth: int) -> str:
        self._check(event, depth)
        if not isinstance(event, yaml.ScalarEvent) or not event.value:
            raise self._refuse(event, "a key that is not a word", "write `key: value`")
        if event.value == "<<" and not event.style:
            raise self._refuse(event, "a merge key", "write the keys out")
        return str(event.value)

    def _scalar(self, event: Any) -> Any:
        if event.style:  # quoted, or a block of text
            return event.value
        if _AMBIGUOUS.fullmatch(event.value):
            raise self._refuse(
                event,
                f"the bare word {event.value}",
                f'quote it if it is text ("{event.value}"), or write true or false',
            )
        return scalar(event.value)

    def _check(self, event: Any, depth: int) -> None:
        if isinstance(event, yaml.AliasEvent):
            raise self._refuse(event, f"the alias *{event.anchor}", "write the value out")
        if event.anchor is not None:
            raise self._refuse(event, f"the anchor &{event.anchor}", "write the value out")
        if event.tag is not None:
            raise self._refuse(event, f"the tag {event.tag}", "plain values only")
        if depth > MAX_DEPTH:
            raise self._refuse(event, f"more than {MAX_DEPTH} levels", None)

    def _place(self, event: Any) -> Place:
        return Place(self._file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _refuse(self, event: Any, found: str, hint: str | None) -> ConfigError:
        return ConfigError(f"{found} is not allowed here", where=str(self._place(event)), hint=hint)


def _unreadable(error: yaml.YAMLError, text: str, file: str) -> ConfigError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "no YAML"
    if mark is None:
        position = getattr(error, "position", 0) or 0
        line = text.count("\n", 0, position) + 1
        return ConfigError(f"not readable as YAML: {problem}", where=f"{file}:{line}:1")
    lines = text.splitlines()[: mark.line + 1]
    hint = 'quote what holds ${...}: "${NAME}"' if lines and "${" in lines[-1] else None
    where = f"{file}:{mark.line + 1}:{mark.column + 1}"
    return ConfigError(f"not readable as YAML: {problem}", where=where, hint=hint)
