import polars as pl
import pytest
from polars.exceptions import PolarsError
from pydantic import ValidationError

from pydatastream.core.errors import SchemaError
from pydatastream.core.times import EVENT_TIME
from pydatastream.operators.cast import Cast


def test_types_change_and_null_stays(bench):
    step = Cast(columns={"n": "string", "temperature": "int"})
    out = bench.run(step, bench.rows(n=[1, None], temperature=[1.9, None]))["main"]
    assert out.select("n", "temperature").rows() == [("1", 1), (None, None)]
    assert out.schema == step.flow(bench.flow).schema


@pytest.mark.parametrize(("text", "word"), [("x", "int"), ("soon", "timestamp"), ("?", "bool")])
def test_what_does_not_fit_raises_or_becomes_null(bench, text, word):
    rows = bench.rows(status=[text])
    with pytest.raises(PolarsError):
        bench.run(Cast(columns={"status": word}), rows)
    out = bench.run(Cast(columns={"status": word}, invalid=None), rows)["main"]
    assert out["status"].to_list() == [None]


def test_nan_is_no_integer(bench):
    with pytest.raises(PolarsError):
        bench.run(Cast(columns={"temperature": "int"}), bench.rows(temperature=[float("nan")]))


def test_options_may_stand_beside_the_columns():
    step = Cast.model_validate({"columns": {"columns": {"n": "int"}, "invalid": None}})
    assert (step.columns, step.invalid) == ({"n": "int"}, "null")


def test_impossible_casts_are_refused_before_the_run(bench):
    with pytest.raises(SchemaError, match="column 'tags'"):
        Cast(columns={"tags": "int"}).flow(bench.flow)
    with pytest.raises(SchemaError, match="no column 'm'"):
        Cast(columns={"m": "int"}).flow(bench.flow)
    with pytest.raises(ValidationError, match="is not a column type"):
        Cast(columns={"n": "integr"})


def test_event_time_ends_when_it_is_no_timestamp(bench):
    assert Cast(columns={"ts": "string"}).flow(bench.flow).time is None
    assert Cast(columns={"n": "float"}).flow(bench.flow).time == bench.flow.time
    assert Cast(columns={"n": "float"}).flow(bench.flow).schema["ts"] == EVENT_TIME
    assert Cast(columns={"n": "float"}).flow(bench.flow).schema["n"] == pl.Float64
