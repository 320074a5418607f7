"""In a child process: try a few rows of the recorded epoch, and leave nothing behind."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import NoReturn

from pydatastream.checkpoints import Checkpoint, Saved
from pydatastream.core.plan import Plan
from pydatastream.core.source import Read
from pydatastream.engines.local.dead_letters import Graveyard
from pydatastream.engines.local.events import Arrived
from pydatastream.engines.local.execution import Executor
from pydatastream.engines.local.ledger import Ledger
from pydatastream.engines.local.rereading import read_again
from pydatastream.engines.local.settings import Settings
from pydatastream.engines.local.spool import opener
from pydatastream.engines.local.survival import Asked
from pydatastream.engines.local.watermarks import Watermarks
from pydatastream.engines.local.work import Work


def try_rows(plan: Plan, settings: Settings, asked: Asked) -> NoReturn:
    """Push rows of a recorded slice through the steps, alone, on the state before; then leave."""
    if settings.checkpoint is not None:
        saved = Checkpoint.peek(settings.checkpoint)
        arrived = _read(plan, settings, asked)
        rows = arrived.rows[asked.first : asked.end]
        _work(plan, saved).take([replace(arrived, rows=rows, dead=arrived.dead[:0])])
    os._exit(0)


def _read(plan: Plan, settings: Settings, asked: Asked) -> Arrived:
    node = next(node for node in plan.sources if node.name == asked.slice.source)
    job = Read(node.reads, rows=settings.rows, bytes=settings.bytes)
    return read_again(node, asked.slice, job, opener(settings.checkpoint), settings.stop)


def _work(plan: Plan, saved: Saved) -> Work:
    ledger = Ledger()
    graveyard = Graveyard("skip", plan.fingerprint(), lambda _: None)
    clocks = {node.name: Watermarks(saved.clocks.get(node.name)) for node in plan.sources}
    marks = {name: clock.watermark for name, clock in clocks.items()}
    executor = Executor(plan, saved.states, lambda _name, _rows: None, graveyard, ledger, marks)
    return Work(plan, executor, graveyard, clocks, ledger)
