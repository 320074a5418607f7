"""Dead letters of a loop in Python: kept as those of a pipeline are, for `pds dlq`."""

from __future__ import annotations

import threading
from pathlib import Path

import polars as pl

from pydatastream.apps.reaching import described
from pydatastream.core.component import Component
from pydatastream.core.dead import LETTER_SCHEMA
from pydatastream.core.sink import Sink, Write
from pydatastream.engines.local import Outlet
from pydatastream.engines.local.dead_letters import DEAD_LETTERS, Graveyard
from pydatastream.engines.local.events import Slice
from pydatastream.engines.local.settings import OnError
from pydatastream.planning.letter_folder import letter_folder, on_demand


class Loop(Component):
    """What a loop does with records that cannot be dealt with."""

    on_error: OnError = "dead_letter"
    """dead_letter: set it aside; fail: stop; skip: count it."""
    dead_letters: str | None = None
    """The folder of dead letters; by default one in .pds/dead."""

    def letters(self, name: str) -> Letters:
        """Where dead letters of this name go."""
        return Letters(name, self.on_error, self.dead_letters)


class Letters:
    """Sets records aside, each in a file that is complete before the loop goes on."""

    def __init__(self, name: str, on_error: OnError, folder: str | Path | None = None) -> None:
        place = {"path": f"{folder}/", "format": "json"}
        kept = on_demand(described("sink", "file", place)) if folder else None
        self._sink: Sink = kept or letter_folder(name, None)
        self._name = name
        self._outlet: Outlet | None = None
        self._graveyard = Graveyard(on_error, "", self._keep)
        self.count = 0

    def bury(self, dead: pl.DataFrame, node: str, piece: Slice) -> None:
        """Set aside what could not be read, or stop where that was asked for."""
        if dead.height:
            self._graveyard.at([piece])
            self._graveyard.bury_read(dead, node)
            self.count += dead.height

    def close(self) -> None:
        """Close what is open; it may be done twice."""
        if self._outlet is not None:
            self._outlet.close()
            self._outlet = None

    def _keep(self, letters: pl.DataFrame) -> None:
        self._outlet = self._outlet or self._opened()
        self._outlet.put(letters)

    def _opened(self) -> Outlet:
        job = Write(LETTER_SCHEMA, self._name, DEAD_LETTERS, durable=True, transactional=True)
        return Outlet(self._sink, job, threading.Event())
