"""What a database itself remembers: the last epoch of each output, and who writes it now."""

# ruff: noqa: S608 - names are checked, values are bound

from __future__ import annotations

from pydatastream.core.errors import ConfigError, Fenced, StopError
from pydatastream.core.sink import Write
from pydatastream.parts.databases.database import Database
from pydatastream.parts.databases.statements import MARKERS, MARKERS_DDL

HINT = "stop one of the two"


class Marker:
    """One row of the table of markers, changed only in transactions that hold rows too."""

    def __init__(self, database: Database, job: Write, *, create: bool) -> None:
        self._database, self._job, self._create = database, job, create
        mark = database.mark
        self._which = f"pipeline = {mark} and output = {mark}"
        self._key = (job.pipeline, job.sink)
        self.epoch = 0

    def take(self) -> None:
        """Take the output over; an instance that was there before is fenced off."""
        self._need_table()
        self._database.begin()
        own = f" and owner = {self._database.mark}" if self._job.again else ""
        values = (self._job.owner, *self._key, *([self._job.owner] if own else ()))
        update = f"update {MARKERS} set owner = {self._database.mark} where {self._which}{own}"
        if not self._database.execute(update, values):
            self._first()
        self.epoch = int(self._found()[0])
        self._database.commit()

    def advance(self, epoch: int) -> None:
        """Remember an epoch, in the transaction of its rows."""
        mark = self._database.mark
        update = (
            f"update {MARKERS} set epoch = {mark} "
            f"where {self._which} and epoch = {mark} and owner = {mark}"
        )
        if self._database.execute(update, (epoch, *self._key, self.epoch, self._job.owner)) != 1:
            raise self._fenced()

    def _first(self) -> None:
        if self._job.again:
            raise self._fenced()
        marks = ", ".join([self._database.mark] * 4)
        insert = f"insert into {MARKERS} (pipeline, output, epoch, owner) values ({marks})"
        self._database.execute(insert, (*self._key, 0, self._job.owner))

    def _found(self) -> tuple[int, str]:
        found = self._database.select(
            f"select epoch, owner from {MARKERS} where {self._which}",
            self._key,
        )
        if not found:
            raise StopError("the marker of this output is gone", where=MARKERS, hint=HINT)
        return found[0][0], found[0][1]

    def _fenced(self) -> Fenced:
        epoch, owner = self._found()
        who = (
            "another instance writes here" if owner != self._job.owner else "the marker has changed"
        )
        where = f"{MARKERS}: {'/'.join(self._key)}"
        return Fenced(f"{who}: epoch {epoch}, not {self.epoch}", where=where, hint=HINT)

    def _need_table(self) -> None:
        try:
            self._database.columns(MARKERS)
        except (StopError, ConfigError):
            self._database.rollback()
            if not self._create:
                what = f"the database has no table {MARKERS}, which makes exactly once possible"
                hint = f"`create: true`, or run: {MARKERS_DDL}"
                raise ConfigError(what, where=self._database.place, hint=hint) from None
            self._database.execute(MARKERS_DDL)
