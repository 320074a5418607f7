"""What part files are called: by epoch and number, or by what is in their first row."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

import polars as pl
from pydantic import AfterValidator

from pydatastream.core.errors import StopError

_PART = re.compile(r"\.?part-(\d{8,})-\d+\.[\w.]+")
_HOLE = re.compile(r"\{(\w+)(?::([^{}]*))?\}")
_SAFE = r"[\w=+@-][\w=+@.-]*"
"""What may stand for a hole: nothing that leads out of the directory."""


def _checked(pattern: str) -> str:
    bare = _HOLE.sub("", pattern)
    if bare == pattern or not re.fullmatch(r"(?![.])[\w=+@.-]*", bare):
        raise ValueError("a name needs a column, and no slashes: cdr_{ts:%Y%m%d_%H%M%S}")
    return pattern


NamePattern = Annotated[str, AfterValidator(_checked)]


@dataclass(frozen=True, slots=True)
class Names:
    """The names of the parts of one output, and which files are such parts.

    >>> rows = pl.DataFrame({"day": [20240131], "place": ["attic"]})
    >>> Names().name(12, 0, rows), Names("day_{day:010d}").name(12, 0, rows)
    ('part-00000012-0', 'day_0020240131')
    """

    pattern: str | None = None

    @property
    def columns(self) -> list[str]:
        """The columns that a name is made of."""
        return [hole[1] for hole in _HOLE.finditer(self.pattern or "")]

    @property
    def told(self) -> dict[str, str]:
        """What a marker says of them."""
        return {"names": self.pattern} if self.pattern else {}

    @property
    def beginning(self) -> str:
        """How every name begins."""
        return "part-" if self.pattern is None else self.pattern.partition("{")[0]

    def name(self, epoch: int, number: int, rows: pl.DataFrame) -> str:
        """The name, without its ending, of a part that begins with these rows."""
        if self.pattern is None:
            return f"part-{epoch:08d}-{number}"
        first = rows.row(0, named=True)
        name = _HOLE.sub(lambda hole: format(first[hole[1]], hole[2] or ""), self.pattern)
        if not re.fullmatch(_SAFE, name) or len(name) > 200:
            raise StopError(f"no file can be called {name!r}", hint="a name of other columns")
        return name

    def owns(self, file: str) -> bool:
        """Whether a file, hidden or not, is called as a part is."""
        if self.pattern is None:
            return epoch_of(file) is not None
        fixed = map(re.escape, _HOLE.sub("\0", self.pattern).split("\0"))
        return bool(re.fullmatch(rf"\.?{_SAFE.join(fixed)}\.[\w.]+", file))

    def shows(self, file: str, last: int | None) -> bool:
        """Whether a file of ours is a part of an epoch up to `last`, and no longer hidden."""
        epoch = epoch_of(file)
        if self.pattern is None and epoch is not None:
            return last is not None and epoch <= last
        return bool(last) and not file.startswith(".")

    def apart(self, other: str | None) -> bool:
        """Whether an output whose pattern is `other` never gives a name that is ours."""
        if self.pattern is None or other is None:
            return False
        ours, theirs = self.beginning, Names(other).beginning
        return not ours.startswith(theirs) and not theirs.startswith(ours)


def taken(name: str) -> StopError:
    """Two parts of one name: the second must not replace the first."""
    hint = "names that differ: of a finer time, say, or `roll_rows`"
    return StopError(f"there is a part called {name} already", hint=hint)


def epoch_of(name: str) -> int | None:
    """The epoch of a part, staged or visible; None if the name has none.

    >>> epoch_of("part-00000012-0.jsonl"), epoch_of("report.csv")
    (12, None)
    """
    part = _PART.fullmatch(name)
    return int(part[1]) if part else None
