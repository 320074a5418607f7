"""Every error is an instruction: retry, begin again, set this row aside, or stop and explain.

PdsError
|-- ConfigError          refused before anything runs: the pipeline file, an option
|   |-- SchemaError      a column is missing or has the wrong type
|   |-- ExpressionError  SQL text that does not parse, or is not allowed
|   `-- NotPortable      this step has no form on the engine that was asked
|-- RetryLater           what failed may heal by itself: wait, then try again
|-- BeginAgain           what is at work may be others' by now: give it up, ask the source anew
|-- RowError             these rows cannot be processed: they become dead letters
`-- StopError            only a person can decide: stop with the exact position
    |-- CheckpointError  the checkpoint cannot be resumed as it is
    |-- SinkLost         the sink remembers less, or more, than the checkpoint
    |-- SinkClosed       nobody reads the sink any more (`| head`): end quietly
    |-- SourceGap        rows that must be read are no longer there
    |-- Fenced           another instance owns the sink or the checkpoint
    `-- Unbalanced       rows in and rows accounted for differ
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class PdsError(Exception):
    """What went wrong, where, and what to try.

    `where` is a place a person can open: file:line:column, or a step's name.
    """

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f"\n  try: {self.hint}" if self.hint else ""
        return f"{place}{self.what}{remedy}"

    def at(self, where: str) -> PdsError:
        """The same error with its place filled in, if it had none."""
        self.where = self.where or where
        return self


class ConfigError(PdsError):
    """The pipeline is refused before anything runs."""


class SchemaError(ConfigError):
    """A column is missing, or its type does not fit."""


class ExpressionError(ConfigError):
    """SQL text that does not parse, or uses what is not allowed."""


class NotPortable(ConfigError):
    """The step has no form on the engine that was asked."""


class RetryLater(PdsError):
    """It may heal by itself: the engine waits and tries again.

    `after` is the least time to wait, in seconds.
    """

    def __init__(self, what: str, *, after: float = 0.0, **place: str | None) -> None:
        super().__init__(what, **place)
        self.after = after


class BeginAgain(PdsError):
    """What is at work may belong to others by now, or nobody knows what became of it.

    Nothing of it is published: the run begins again where the source says that all are.
    """


class RowError(PdsError):
    """The rows given cannot be processed; each becomes a dead letter.

    `rows` are the numbers of those at fault, in order, where they are known.
    """

    def __init__(self, what: str, *, rows: Sequence[int] = (), **place: str | None) -> None:
        super().__init__(what, **place)
        self.rows = rows


class StopError(PdsError):
    """Only a person can decide how to go on."""


class CheckpointError(StopError):
    """The checkpoint cannot be resumed as it is."""


class SinkLost(StopError):
    """The sink remembers another epoch than the checkpoint allows."""


class SinkClosed(StopError):
    """Nobody reads the sink any more, as after `| head`: the run ends quietly."""


class SourceGap(StopError):
    """Rows that must be read are no longer at the source."""


class Fenced(StopError):
    """Another instance owns what this one wants to write."""


class Unbalanced(StopError):
    """Rows in and rows accounted for differ: a defect, never to be ignored."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """A hint naming the closest known word, or all of them if none is close."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"one of: {', '.join(names)}" if names else None
