"""Messages with the values of a row in them."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from pydatastream.core.errors import ConfigError, SchemaError, nearest

_SPEC = re.compile(r"[<>^]?[+]?\d{0,3},?(\.\d{1,2})?[dfegn%s]?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
LONGEST = 500
"""A value is cut after so many characters."""


class Part(NamedTuple):
    """Words, and the column that follows them."""

    words: str
    column: str | None
    spec: str


@dataclass(frozen=True, slots=True)
class Template:
    r"""Text with `{column}` or `{column:.1f}` in it; nothing else is understood.

    Values are shown on one line: control characters and marks that turn the direction of text
    are written as escapes, so a value can forge neither a line of a log nor a colour of a terminal.

    >>> Template.of("{host} is at {score:.1f}").filled({"host": "a\x1b[31m", "score": 3.14159})
    'a\\x1b[31m is at 3.1'
    """

    parts: Sequence[Part]

    @classmethod
    def of(cls, text: str) -> Template:
        """The template of a text; `ConfigError` if it holds more than plain columns."""
        try:
            found = list(string.Formatter().parse(text))
        except ValueError as error:
            raise ConfigError(f"{text!r} is no message: {error}", hint="{{ for a brace") from None
        parts = [Part(words, column, spec or "") for words, column, spec, _ in found]
        for (_, column, spec), (*_, conversion) in zip(parts, found, strict=True):
            plain = column is None or (column.isidentifier() and not conversion)
            if not plain or not _SPEC.fullmatch(spec):
                raise ConfigError(
                    f"{{{column}}} in {text!r} cannot be filled in",
                    hint="{column}, or with a number's form: {column:.1f}",
                )
        return cls(parts)

    def need(self, columns: Iterable[str]) -> None:
        """Raise `SchemaError` for a column that is not among these."""
        known = list(columns)
        for part in self.parts:
            if part.column is not None and part.column not in known:
                hint = nearest(part.column, known)
                raise SchemaError(f"the message names {part.column!r}, no such column", hint=hint)

    def filled(self, row: Mapping[str, Any]) -> str:
        """The text for one row; a null is shown as "-"."""
        return "".join(
            part.words + (_shown(row[part.column], part.spec) if part.column is not None else "")
            for part in self.parts
        )


def _shown(value: Any, spec: str) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        value = value.isoformat().replace("+00:00", "Z")
    try:
        text = format(value, spec)
    except (ValueError, TypeError):  # a number's form, and a value that is none
        text = str(value)
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)
