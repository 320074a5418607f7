"""A run of a plan on this machine: one attempt, or several where what it reads can go to others."""

from __future__ import annotations

import logging

from pydatastream.core.errors import BeginAgain, RetryLater
from pydatastream.core.plan import Plan
from pydatastream.engines.local.attempt import Attempt
from pydatastream.engines.local.memory import tended_memory
from pydatastream.engines.local.report import RunReport
from pydatastream.engines.local.retry import Backoff
from pydatastream.engines.local.settings import Settings
from pydatastream.engines.local.survival import asked_rows
from pydatastream.engines.local.trial import try_rows

_log = logging.getLogger("pydatastream")


class Run:
    """A run that can be watched, by `report`, while it goes on in another thread."""

    def __init__(self, plan: Plan, settings: Settings) -> None:
        self.plan, self.settings = plan, settings
        self._attempt = Attempt(plan, settings)
        self._past: RunReport | None = None
        self._backoff = Backoff(settings.stop)

    @tended_memory()
    def run(self) -> RunReport:
        """Run to the end, or until asked to stop; in a child that tries rows, only try them."""
        asked = asked_rows()
        if asked is not None:
            try_rows(self.plan, self.settings, asked)
        while self._is_open():
            pass
        return self.report()

    def report(self) -> RunReport:
        """What the run has done so far; what was given up and came again counts each time."""
        return self._attempt.report().after(self._past)

    def _is_open(self) -> bool:
        """Try; whether it has to be tried again."""
        try:
            self._attempt.run()
        except BeginAgain as error:
            _log.warning("%s: begins again: %s", self.plan.name, error.what)
            return self._again(error)
        return False

    def _again(self, error: BeginAgain) -> bool:
        self._past = self.report()
        if self._attempt.report().epochs:
            self._backoff.reset()
        self._attempt = Attempt(self.plan, self.settings)
        return self._backoff.wait(RetryLater(error.what))


def run(plan: Plan, settings: Settings | None = None) -> RunReport:
    """Run a plan on this machine, to its end or until `settings.stop` is set."""
    return Run(plan, settings or Settings()).run()
