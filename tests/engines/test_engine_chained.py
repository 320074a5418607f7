"""Windows over windows: the clock of a step goes behind by the lateness above it."""

from __future__ import annotations

import polars as pl

from pydatastream import Pipeline


def test_lateness_of_one_window_does_not_make_the_next_one_late() -> None:
    seconds = [10, 62, 66, 130]
    rows = pl.DataFrame({"s": seconds})
    pipeline = (
        Pipeline.read("memory", rows, time="s", time_unit="s")
        .tumbling("1m", lateness="5s", n="count(*)")
        .tumbling("1m", n="sum(n)", windows="count(*)")
    )
    assert pipeline.collect()["n"].to_list() == [1, 2, 1]


def test_a_filter_after_a_strict_cast_hides_no_bad_row() -> None:
    rows = [{"n": 1, "status": "ok"}, {"n": 2, "status": "7"}]
    pipeline = Pipeline.read("memory", rows).cast({"status": "int"}).filter("n <> 1").write("null")
    report = pipeline.run()
    assert (report.dead, report.rows_out, report.filtered) == (1, 1, 0)
