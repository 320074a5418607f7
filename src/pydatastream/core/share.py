"""Shares: what one process reads of a source whose partitions several divide among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from pydatastream.core.batch import Offset


class Claim(Protocol):
    """How far an epoch has read the partitions of a share: to be told when it is published.

    Rules: it takes effect as a whole or not at all, and not at all once the partitions have gone
    to others. `commit` tells the source, or raises `BeginAgain`.
    """

    def commit(self) -> None: ...


class Share(Protocol):
    """One process's part in a source, while it has one.

    Rules: the source keeps how far each partition was read. So a partition is opened without
    `resume`, goes on where its last claim says, and its reader is told nothing by `commit`.
    `partitions` names those that are ours now (I/O), and is asked often: it is the sign of life.
    Before any goes to others it calls the `let_go` that the share was made with, which returns
    when all that was read of them is published and claimed. Where they have gone without it
    raises `BeginAgain`. `close` gives back all, at once; it may be called twice.
    """

    def partitions(self) -> Sequence[str]: ...
    def claim(self, offsets: Mapping[str, Offset]) -> Claim: ...
    def close(self) -> None: ...
