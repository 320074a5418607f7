import sys

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatastream.core.batch import CLOCK
from pydatastream.core.errors import ConfigError
from pydatastream.operators.map_rows import MapRows


def halve(row, by=2):
    if row["n"] is None:
        return None
    if row["n"] == 13:
        raise ValueError("unlucky")
    return [{**row, "n": row["n"] // by}] * (row["n"] % 3)


def test_rows_are_changed_dropped_and_multiplied(bench):
    out = bench.run(MapRows(function=lambda row: {**row, "n": row["n"] + 1}), bench.rows(n=[1, 2]))
    assert out["main"].drop("n").equals(bench.rows(n=[1, 2]).drop("n"))
    assert out["main"]["n"].to_list() == [2, 3]
    out = bench.run(MapRows(function=halve, args={"by": 1}), bench.rows(n=[1, 2, 3, None, 4]))
    assert out["main"]["n"].to_list() == [1, 2, 2, 4]


def test_each_row_keeps_the_clock_of_the_one_it_came_from(bench):
    rows = bench.clocked(bench.rows(n=[1, 2, 3, 5], ts=[5, 3, 9, 1]))
    out = bench.run(MapRows(function=halve), rows)["main"]
    assert out[CLOCK].to_list() == rows[CLOCK].gather([0, 1, 1, 3, 3]).to_list()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"n": "x"}, "returned 'x' for n: int"),
        ({"n": 1.5}, "returned 1.5 for n: int"),
        ({"n": 2**70}, "for n: int"),
        ({"m": 1}, "returned 'm', which `schema` does not have"),
        ((1, 2), "returned a tuple, not a dict"),
        ([{"n": 1}, None], "returned a NoneType, not a dict"),
    ],
)
def test_only_the_row_at_fault_dies(bench, given, words):
    out = bench.run(
        MapRows(function=lambda row: given if row["n"] == 2 else {"n": row["n"]}),
        bench.rows(n=[1, 2, 3]),
    )
    assert out["main"]["n"].to_list() == [1, 3]
    assert out["dead"]["n"].to_list() == [2]
    assert words in out["dead"]["error"][0]


def test_exceptions_and_exits_are_told(bench):
    def leave(row):
        return sys.exit("bye") if row["n"] == 1 else row

    out = bench.run(MapRows(function=leave), bench.rows(n=[1, 2]))
    assert "called exit(bye) (test_operators_map_rows.py:" in out["dead"]["error"][0]
    out = bench.run(MapRows(function=halve), bench.rows(n=[13, 1]))
    assert "raised ValueError: unlucky" in out["dead"]["error"][0]
    assert out["main"].height == 1


def test_the_schema_is_that_of_the_input_or_declared(bench):
    assert MapRows(function=halve).flow(bench.flow) == bench.flow
    step = MapRows.model_validate(
        {"function": lambda row: {"k": row["n"]}, "schema": {"k": "int", "ts": "timestamp"}}
    )
    assert step.flow(bench.flow).time == bench.flow.time
    assert bench.run(step, bench.rows(n=[1]))["main"].rows() == [(1, None)]
    assert bench.run(step, bench.rows(n=[1]))["main"].schema == step.flow(bench.flow).schema
    with pytest.raises(ConfigError, match="missing a required argument"):
        MapRows(function=lambda row, factor: row).flow(bench.flow)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 20), max_size=30), st.lists(st.integers(1, 9), max_size=5))
def test_it_does_not_depend_on_cuts(bench, values, sizes):
    rows = bench.clocked(bench.rows(n=values))
    step = MapRows(function=halve)
    whole, pieces = bench.run(step, rows), bench.run(step, *bench.cut(rows, sizes))
    for port in pieces:
        assert pl.DataFrame(pieces[port]).equals(whole[port])
