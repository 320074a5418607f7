"""Functions of strings."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from pydatastream.parts.sql import values as v
from pydatastream.parts.sql.patterns import matches
from pydatastream.parts.sql.signatures import Call, Function, check_count, pair
from pydatastream.parts.sql.values import Unfit, Value, combine

MAX_WIDTH = 10_000
"""The widest text that lpad and rpad make."""


def _substr(text: pl.Expr, start: pl.Expr, length: pl.Expr | None = None) -> pl.Expr:
    """Counted from 1; a negative start counts from the end."""
    size = text.str.len_chars().cast(v.INT)
    first = pl.when(start < 0).then(size + start).otherwise(start - 1)
    last = size if length is None else first + length
    begin = pl.max_horizontal(first, pl.lit(0))
    return text.str.slice(begin, pl.max_horizontal(last - begin, pl.lit(0)))


def _split_part(text: pl.Expr, mark: pl.Expr, part: pl.Expr) -> pl.Expr:
    """Counted from 1, from the end if negative; "" where there is no such part."""
    at = pl.when(part > 0).then(part - 1).otherwise(part)
    found = text.str.split(mark).list.get(at, null_on_oob=True)
    return pl.when(text.is_not_null() & mark.is_not_null()).then(found.fill_null(""))


def _pad(side: str) -> Callable[..., pl.Expr]:
    def pad(text: pl.Expr, width: int, fill: str = " ") -> pl.Expr:
        if not 0 <= width <= MAX_WIDTH or len(fill) != 1:
            raise Unfit(f"{side} needs a width up to {MAX_WIDTH} and one character to fill")
        run = text.str.pad_start if side == "lpad" else text.str.pad_end
        return run(width, fill).str.slice(0, width)

    return pad


def _concat(name: str, args: list[Value]) -> Value:
    """All as text; null counts as nothing."""
    check_count(name, args, 1, None)
    return combine(
        pl.concat_str([arg.expr.cast(v.TEXT) for arg in args], ignore_nulls=True), v.TEXT, *args
    )


TEXT_FUNCTIONS: dict[str, Call] = {
    "lower": Function("s", v.TEXT, lambda s: s.str.to_lowercase()),
    "upper": Function("s", v.TEXT, lambda s: s.str.to_uppercase()),
    "trim": Function("sS?", v.TEXT, lambda s, c=" ": s.str.strip_chars(c)),
    "ltrim": Function("sS?", v.TEXT, lambda s, c=" ": s.str.strip_chars_start(c)),
    "rtrim": Function("sS?", v.TEXT, lambda s, c=" ": s.str.strip_chars_end(c)),
    "reverse": Function("s", v.TEXT, lambda s: s.str.reverse()),
    "substr": Function("sii?", v.TEXT, _substr),
    "left": Function("sI", v.TEXT, lambda s, n: s.str.head(n)),
    "right": Function("sI", v.TEXT, lambda s, n: s.str.tail(n)),
    "replace": Function("sSS", v.TEXT, lambda s, a, b: s.str.replace_all(a, b, literal=True)),
    "split_part": Function("ssi", v.TEXT, _split_part),
    "starts_with": Function("ss", v.BOOLEAN, lambda s, p: s.str.starts_with(p)),
    "ends_with": Function("ss", v.BOOLEAN, lambda s, p: s.str.ends_with(p)),
    "lpad": Function("sIS?", v.TEXT, _pad("lpad")),
    "rpad": Function("sIS?", v.TEXT, _pad("rpad")),
    "concat": _concat,
    "regexp_matches": pair(matches),
}
