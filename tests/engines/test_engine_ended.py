"""What ended in an epoch before is known to a replay: else windows would close in another epoch."""

from __future__ import annotations

from engine_parts import RowsSource, plan_of

from pydatastream.engines.local.dead_letters import Graveyard
from pydatastream.engines.local.events import Done, Opened
from pydatastream.engines.local.execution import Executor
from pydatastream.engines.local.ledger import Ledger
from pydatastream.engines.local.watermarks import Watermarks
from pydatastream.engines.local.work import Work


def test_the_record_of_an_epoch_tells_what_had_ended() -> None:
    plan, ledger = plan_of(RowsSource(time="ts", time_unit="us")), Ledger()
    graveyard = Graveyard("fail", "", lambda _: None)
    clocks = {"rows": Watermarks()}
    marks = {"rows": clocks["rows"].watermark}
    executor = Executor(plan, {}, lambda *_: None, graveyard, ledger, marks)
    work = Work(plan, executor, graveyard, clocks, ledger)
    work.take(Opened("rows", ["all"]))
    work.take(Done("rows", "all"))
    work.end_epoch(1)
    work.take(Opened("rows", ["more"]))
    kinds = [event["kind"] for event in work.end_epoch(2).record["events"]]
    assert kinds == ["done", "opened"]
