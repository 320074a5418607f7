import sys

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatastream.core.batch import CLOCK
from pydatastream.core.errors import ConfigError, RetryLater, RowError, SchemaError
from pydatastream.operators.map import Map


def double(rows, by=2):
    return rows.with_columns(pl.col("n") * by, twice=pl.lit(True))


def odd(rows):
    return rows.filter(pl.col("n") % 2 == 1)


def in_place(rows):
    rows.insert_column(0, pl.Series("first", [0] * rows.height, dtype=pl.Int64))
    return rows


def test_columns_are_learnt_from_no_rows(bench):
    step = Map(function=double, args={"by": 10})
    assert step.flow(bench.flow).schema == pl.Schema({**bench.flow.schema, "twice": pl.Boolean})
    assert step.flow(bench.flow).time == bench.flow.time
    assert bench.run(step, bench.rows(n=[1, 2]))["main"]["n"].to_list() == [10, 20]


def test_the_function_does_not_see_the_clock_and_rows_keep_theirs(bench):
    rows = bench.clocked(bench.rows(n=[1, 2, 3, 5], ts=[5, 3, 9, 1]))
    assert bench.run(Map(function=double), rows)["main"][CLOCK].equals(rows[CLOCK])
    assert bench.run(Map(function=odd), rows)["main"].equals(rows.filter(pl.col("n") % 2 == 1))


def test_a_function_cannot_change_the_batch_for_others(bench):
    out = bench.run(Map(function=in_place), bench.rows(n=[1]))["main"]
    assert out.columns == ["first", *bench.flow.schema]


def test_text_is_bound_to_a_function(bench):
    step = Map(function="duble")
    with pytest.raises(ConfigError, match="no function is called 'duble'") as error:
        step.bind({"double": double})
    assert error.value.hint == "did you mean 'double'?"
    with pytest.raises(ConfigError):
        step.flow(bench.flow)
    bound = Map(function="double").bind({"double": double})
    assert bound.function is double
    assert bound.options() == Map(function="double").options() == {"function": "double"}


def test_a_schema_may_be_declared(bench):
    step = Map.model_validate({"function": lambda rows: rows.select("n"), "schema": {"n": "int"}})
    assert step.flow(bench.flow).schema == pl.Schema({"n": pl.Int64})
    assert step.flow(bench.flow).time is None
    nulls = Map.model_validate(
        {
            "function": lambda rows: rows.select(pl.lit(None).alias("a"), "n"),
            "schema": {"n": "int", "a": "float"},
        }
    )
    out = bench.run(nulls, bench.rows(n=[1]))["main"]
    assert out.schema == pl.Schema({"n": pl.Int64, "a": pl.Float64})


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda rows: None, "returned nothing, not a DataFrame"),
        (lambda rows: rows.lazy(), r"returned a LazyFrame, .* \.collect\(\)"),
        (lambda rows: rows["n"], "returned a Series"),
        (lambda rows: rows.select("n"), r"returned columns \(n: int\), the plan has \(n: float"),
        (lambda rows: 1 / 0, r"raised ZeroDivisionError: division by zero \(test_operators_map"),
        (lambda rows: sys.exit(3), r"called exit\(3\)"),
        (lambda rows: sys.exit(), r"called exit\(\)"),
    ],
)
def test_what_goes_wrong_is_told(bench, made, words):
    step = Map.model_validate({"function": made, "schema": {"n": "float", "x": "string"}})
    with pytest.raises(RowError, match=words):
        bench.run(step, bench.rows(n=[1]))


def test_a_panic_is_caught_and_an_interrupt_is_not(bench):
    class Panic(BaseException):
        pass

    def panic(rows):
        raise Panic("out of cheese")

    def interrupt(rows):
        raise KeyboardInterrupt

    def later(rows):
        raise RetryLater("the model is loading")

    for function, error in [(panic, RowError), (interrupt, KeyboardInterrupt), (later, RetryLater)]:
        step = Map.model_validate({"function": function, "schema": {"n": "int"}})
        with pytest.raises(error):
            bench.run(step, bench.rows(n=[1]))


def test_what_cannot_work_is_refused_before_the_run(bench):
    with pytest.raises(ConfigError, match="unexpected keyword argument 'bye'"):
        Map(function=double, args={"bye": 3}).flow(bench.flow)
    with pytest.raises(SchemaError, match="tried on no rows") as error:
        Map(function=lambda rows: rows.select("m")).flow(bench.flow)
    assert "schema" in error.value.hint


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 9), max_size=30), st.lists(st.integers(1, 9), max_size=5))
def test_a_row_by_row_function_does_not_depend_on_cuts(bench, values, sizes):
    rows = bench.clocked(bench.rows(n=values))
    step = Map(function=odd)
    pieces = bench.run(step, *bench.cut(rows, sizes)).get("main")
    assert pieces is None or pieces.equals(bench.run(step, rows)["main"])
