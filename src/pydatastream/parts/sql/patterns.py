"""LIKE and regular expressions."""

from __future__ import annotations

import re

import polars as pl
from polars.exceptions import PolarsError

from pydatastream.parts.sql import values as v
from pydatastream.parts.sql.values import Unfit, Value, combine, expect

MAX_PATTERN = 1_000
"""The longest pattern, in characters."""

_PLAIN = re.compile(r"(%?)([^%_]*)(%?)")


def like(value: Value, pattern: Value, ignore_case: bool, escape: str | None = None) -> Value:
    """`value LIKE pattern`: % any text, _ one character; the whole text must match."""
    expect(value, v.STRING, what="LIKE")
    wanted = pattern_text(pattern, "LIKE")
    text = value.expr.cast(v.TEXT)
    simple = None if ignore_case or escape else _PLAIN.fullmatch(wanted)
    if simple:
        return combine(_simple(text, *simple.groups()), v.BOOLEAN, value)
    mode = "(?is)" if ignore_case else "(?s)"
    return combine(text.str.contains(f"{mode}^{_regex(wanted, escape)}$"), v.BOOLEAN, value)


def _simple(text: pl.Expr, before: str, words: str, after: str) -> pl.Expr:
    """Without a regular expression, several times as fast."""
    if before and after:
        return text.str.contains(words, literal=True)
    if before:
        return text.str.ends_with(words)
    return text.str.starts_with(words) if after else text == words


def _regex(pattern: str, escape: str | None) -> str:
    found, escaped = "", False
    for sign in pattern:
        if not escaped and sign == escape:
            escaped = True
            continue
        found += (
            {"%": ".*", "_": "."}.get(sign, re.escape(sign)) if not escaped else re.escape(sign)
        )
        escaped = False
    return found


def matches(value: Value, pattern: Value) -> Value:
    """Whether a regular expression (RE2 syntax) matches somewhere in the text."""
    expect(value, v.STRING, what="a regular expression")
    return combine(value.expr.cast(v.TEXT).str.contains(checked_regex(pattern)), v.BOOLEAN, value)


def checked_regex(pattern: Value) -> str:
    """The pattern, if it is a regular expression of modest size."""
    text = pattern_text(pattern, "a regular expression")
    try:
        pl.select(pl.lit("").str.contains(text))
    except PolarsError as error:
        reason = next((line for line in str(error).splitlines() if line.startswith("error:")), "")
        raise Unfit(
            f"{text!r} is not a regular expression: {reason.removeprefix('error: ')}"
        ) from None
    return text


def pattern_text(pattern: Value, what: str) -> str:
    """The text of a pattern, which must be written out."""
    if not isinstance(pattern.constant, str):
        raise Unfit(f"{what} needs its pattern as text in quotes, found {pattern}")
    if len(pattern.constant) > MAX_PATTERN:
        raise Unfit(f"the pattern of {what} is longer than {MAX_PATTERN} characters")
    return pattern.constant
