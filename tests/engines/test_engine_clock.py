"""What is late at a step: its clock waits for windows above it, and for nothing else."""

from __future__ import annotations

import polars as pl

from pydatastream import Pipeline


def test_a_step_that_holds_no_rows_does_not_make_windows_wait() -> None:
    rows = pl.DataFrame({"s": [0, 70, 5]})
    read = Pipeline.read("memory", rows, time="s", time_unit="s")
    windows = read.dedupe(by="s", within="10m").tumbling("1m", n="count(*)")
    assert windows.collect()["n"].to_list() == [1, 1]
