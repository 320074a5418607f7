"""A run: every row accounted for, bad rows set aside, state resumed, epochs published once."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_parts import Double, KeepSink, Odd, RowsSource, Total, plan_of

from pydatastream.core.errors import CheckpointError, SinkLost, StopError, Unbalanced
from pydatastream.core.sink import Write, Writer
from pydatastream.engines.local.run import Run, run
from pydatastream.engines.local.settings import Settings

SOURCE = RowsSource(time="ts", time_unit="us")


def test_rows_pass_and_are_counted() -> None:
    report = run(plan_of(SOURCE, Odd()))
    assert KeepSink().rows()["id"].to_list() == list(range(1, 100, 2))
    assert (report.rows_in, report.rows_out, report.filtered) == (100, 50, 50)


def test_rows_that_were_dropped_are_counted_while_it_goes_on(tmp_path: Path) -> None:
    told: list[int] = []

    class Looking(KeepSink):
        def open(self, job: Write) -> Writer:
            writer = super().open(job)
            publish = writer.publish
            writer.publish = lambda epoch: told.append(one.report().filtered) or publish(epoch)
            return writer

    settings = Settings(checkpoint=tmp_path / "c", interval=0, rows=10)
    one = Run(plan_of(SOURCE, Odd(), sink=Looking()), settings)
    assert one.run().filtered == 50
    assert len(told) < 2 or told[1] >= 5  # when an epoch is published, those before are counted


def test_a_row_that_fails_costs_nothing_but_itself() -> None:
    dead = KeepSink(key="dead")
    report = run(plan_of(SOURCE, Double()), Settings(dead_letters=dead))
    assert report.dead == 1
    assert 26 not in KeepSink().rows()["id"].to_list()
    assert KeepSink().rows().height == 99
    letter = dead.rows().row(0, named=True)
    assert '"id":13' in letter["payload"]
    assert letter["step"] == "double_0"


def test_the_step_at_fault_is_named_in_a_chain() -> None:
    dead = KeepSink(key="dead")
    run(plan_of(SOURCE, Odd(), Double()), Settings(dead_letters=dead))
    assert dead.rows()["step"].to_list() == ["double_1"]
    assert KeepSink().rows().height == 49


def test_on_error_fail_stops_with_the_row() -> None:
    with pytest.raises(StopError, match='"id":13'):
        run(plan_of(SOURCE, Double()), Settings(on_error="fail"))


def test_windows_balance() -> None:
    report = run(plan_of(SOURCE, Total()))
    assert KeepSink().rows()["total"].to_list() == [sum(range(100))]
    assert (report.aggregated, report.held, report.rows_out) == (100, 0, 1)


def test_a_kernel_that_loses_rows_is_found_out() -> None:
    with pytest.raises(Unbalanced, match="rows in: 100, accounted for: released 90"):
        run(plan_of(SOURCE, Total(forget=True)), Settings(rows=10))


def test_state_goes_on_from_the_checkpoint(tmp_path: Path) -> None:
    settings = Settings(checkpoint=tmp_path / "c", interval=0)
    first = RowsSource(count=50, batch=10, time="ts", time_unit="us")
    run(plan_of(first, Odd()), settings)
    report = run(plan_of(first, Odd()), settings)
    assert report.rows_in == 0
    assert KeepSink().rows()["id"].to_list() == list(range(1, 50, 2))


def test_a_changed_plan_is_refused(tmp_path: Path) -> None:
    settings = Settings(checkpoint=tmp_path / "c")
    run(plan_of(SOURCE, Odd()), settings)
    with pytest.raises(CheckpointError, match="has changed"):
        run(plan_of(SOURCE, Odd(), Odd()), settings)


def test_an_old_checkpoint_is_refused(tmp_path: Path) -> None:
    run(plan_of(SOURCE, Odd()), Settings(checkpoint=tmp_path / "c", interval=0))
    with pytest.raises(SinkLost, match="old copy"):
        run(plan_of(SOURCE, Odd()), Settings(checkpoint=tmp_path / "other", interval=0))


def test_a_sink_that_lost_data_is_refused(tmp_path: Path) -> None:
    settings = Settings(checkpoint=tmp_path / "c", interval=0)
    run(plan_of(SOURCE, Odd()), settings)
    KeepSink.stores["out"]["marker"] = 0
    with pytest.raises(SinkLost, match="lost data"):
        run(plan_of(SOURCE, Odd()), settings)


def test_an_epoch_of_no_time_is_one_batch_however_many_wait(tmp_path: Path) -> None:
    source = RowsSource(count=2000, time="ts", time_unit="us")
    report = run(plan_of(source, Odd()), Settings(checkpoint=tmp_path / "c", interval=0, rows=10))
    assert report.epochs >= 200
