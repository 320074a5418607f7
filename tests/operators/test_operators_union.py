import polars as pl
import pytest

from pydatastream.core.batch import CLOCK
from pydatastream.core.errors import SchemaError
from pydatastream.core.operator import EventTime, Flow
from pydatastream.operators.union import Union


def flow(time="ts", **columns):
    return Flow(pl.Schema(columns), time and EventTime(time))


def test_columns_are_matched_by_name(bench):
    first, second = flow(None, a=pl.Int64, b=pl.String), flow(None, b=pl.String, a=pl.Int64)
    assert Union().flow(first, second) == first
    out = bench.run(
        Union(),
        (0, pl.DataFrame({"a": [1], "b": ["x"]})),
        (1, pl.DataFrame({"b": ["y"], "a": [2]})),
        flows=(first, second),
    )
    assert out["main"].rows() == [(1, "x"), (2, "y")]


def test_missing_columns_are_refused_or_filled(bench):
    flows = flow(None, a=pl.Int64), flow(None, a=pl.Int64, b=pl.String)
    with pytest.raises(SchemaError, match="input 1 has no column 'b'"):
        Union().flow(*flows)
    rows = pl.DataFrame({"a": [1], CLOCK: [5]})
    out = bench.run(Union(fill=True), (0, rows), flows=flows)["main"]
    assert out.to_dicts() == [{"a": 1, "b": None, CLOCK: 5}]
    assert out.schema["b"] == pl.String


def test_types_and_event_time_must_agree(bench):
    with pytest.raises(SchemaError, match="int in one input and float in another"):
        Union().flow(flow(None, a=pl.Int64), flow(None, a=pl.Float64))
    with pytest.raises(SchemaError, match="differ in event time: ts, none"):
        Union().flow(bench.flow, Flow(bench.flow.schema))
    assert Union().flow(bench.flow, bench.flow, bench.flow) == bench.flow
