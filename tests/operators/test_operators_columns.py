"""select, drop, rename, with: which columns there are, and which is event time."""

import polars as pl
import pytest
from pydantic import ValidationError

from pydatastream.core.batch import CLOCK
from pydatastream.core.errors import SchemaError
from pydatastream.operators.drop import Drop
from pydatastream.operators.rename import Rename
from pydatastream.operators.select import Select
from pydatastream.operators.with_ import With


def run(bench, step, rows):
    """The rows, whose schema must be the planned one."""
    out = bench.run(step, rows)["main"]
    planned = step.flow(bench.flow).schema
    assert out.drop(CLOCK, strict=False).schema == planned
    assert (CLOCK in out.columns) == (CLOCK in rows.columns)
    return out


def test_select_by_name_keeps_the_order_asked_for(bench):
    rows = bench.clocked(bench.rows(n=[1, 2]))
    assert run(bench, Select(columns=["n", "ts"]), rows).columns == ["n", "ts", CLOCK]


def test_select_by_expression_sees_only_the_input(bench):
    step = Select(columns={"temperature": "temperature * 2", "old": "temperature"})
    out = run(bench, step, bench.rows(temperature=[1.5]))
    assert out.rows() == [(3.0, 1.5)]


def test_select_takes_polars_expressions(bench):
    step = Select(columns={"most": pl.col("n") + 1})
    assert run(bench, step, bench.rows(n=[1]))["most"].to_list() == [2]


@pytest.mark.parametrize(
    ("columns", "time"),
    [
        (["ts", "n"], "ts"),
        (["n"], None),
        ({"moment": "ts"}, "moment"),
        ({"moment": "ts", "ts": "ts"}, "ts"),
        ({"ts": "ts + interval '1 hour'"}, None),
    ],
)
def test_select_follows_event_time(bench, columns, time):
    found = Select(columns=columns).flow(bench.flow).time
    assert (found and found.column) == time


def test_select_refuses_what_it_cannot_give(bench):
    with pytest.raises(SchemaError, match="no column 'temprature'"):
        Select(columns=["temprature"]).flow(bench.flow)
    with pytest.raises(SchemaError, match="selected twice"):
        Select(columns=["n", "n"]).flow(bench.flow)
    with pytest.raises(ValidationError):
        Select(columns=[])


def test_select_reads_what_it_names(bench):
    assert Select(columns={"a": "n + 1", "b": "ts"}).reads(frozenset({"b"})) == {"n", "ts"}
    assert Select(columns=["n"]).reads(None) == {"n"}


def test_drop_leaves_the_others(bench):
    out = run(bench, Drop(columns=["n", "tags"]), bench.clocked(bench.rows(n=[1])))
    assert out.columns == ["device_id", "ts", "temperature", "status", CLOCK]
    assert Drop(columns="ts").flow(bench.flow).time is None


def test_drop_refuses_unknown_columns_and_all_of_them(bench):
    with pytest.raises(SchemaError, match="no column 'm'"):
        Drop(columns=["m"]).flow(bench.flow)
    with pytest.raises(SchemaError, match="every column"):
        Drop(columns=list(bench.flow.schema)).flow(bench.flow)


def test_rename_moves_event_time_along(bench):
    step = Rename(columns={"ts": "moment", "n": "m"})
    out = run(bench, step, bench.clocked(bench.rows(n=[1])))
    assert out.columns == ["device_id", "moment", "temperature", "status", "tags", "m", CLOCK]
    assert step.flow(bench.flow).time.column == "moment"
    assert step.reads(frozenset({"m", "status"})) == {"ts", "n", "status"}


def test_rename_swaps_and_refuses_to_merge(bench):
    swap = Rename(columns={"device_id": "status", "status": "device_id"})
    out = run(bench, swap, bench.rows(device_id=["a"], status=["ok"]))
    assert out.select("device_id", "status").rows() == [("ok", "a")]
    assert swap.reads(frozenset({"status"})) == {"device_id", "status"}
    with pytest.raises(SchemaError, match="two columns would be called 'n'"):
        Rename(columns={"status": "n"}).flow(bench.flow)
    with pytest.raises(SchemaError, match="no column 'm'"):
        Rename(columns={"m": "k"}).flow(bench.flow)


def test_with_uses_what_it_made_before(bench):
    step = With(columns={"f": "temperature * 1.8 + 32", "hot": "f > 100", "n": "n + 1"})
    out = run(bench, step, bench.clocked(bench.rows(temperature=[10.0, 50.0], n=[1, 2])))
    assert list(step.flow(bench.flow).schema) == [*bench.flow.schema, "f", "hot"]
    assert out.select("f", "hot", "n").rows() == [(50.0, False, 2), (122.0, True, 3)]
    assert step.reads(frozenset({"hot", "status"})) == {"temperature", "n", "status"}


def test_with_replaces_in_the_order_written(bench):
    step = With(columns={"n": "n * 10", "m": "n + 1"})
    assert run(bench, step, bench.rows(n=[1])).select("n", "m").rows() == [(10, 11)]


def test_with_cannot_replace_event_time(bench):
    with pytest.raises(SchemaError, match="event time"):
        With(columns={"ts": "ts + interval '1 hour'"}).flow(bench.flow)
