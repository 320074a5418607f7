import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatastream.core.errors import ExpressionError, SchemaError
from pydatastream.operators.route import Route

ROUTES = {"hot": "temperature > 30", "warm": "temperature > 10", "bad": "status = 'error'"}


def temperatures(out):
    return {port: rows["temperature"].to_list() for port, rows in out.items()}


def test_the_first_match_takes_the_row(bench):
    rows = bench.rows(temperature=[40.0, 20.0, 5.0, None], status=["error", "ok", "error", None])
    assert temperatures(bench.run(Route(routes=ROUTES), rows)) == {
        "hot": [40.0],
        "warm": [20.0],
        "bad": [5.0],
        "main": [None],
    }


def test_every_match_may_take_it(bench):
    rows = bench.rows(temperature=[40.0, 20.0, None], status=["error", "ok", "ok"])
    step = Route.model_validate({"routes": {"routes": ROUTES, "all": True}})
    assert temperatures(bench.run(step, rows)) == {
        "hot": [40.0],
        "warm": [40.0, 20.0],
        "bad": [40.0],
        "main": [None],
    }


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(0, 50)), min_size=1))
def test_each_row_goes_exactly_one_way(bench, values):
    out = bench.run(Route(routes=ROUTES), bench.rows(temperature=values))
    sent = [value for port in temperatures(out).values() for value in port]
    assert sorted(map(str, sent)) == sorted(map(str, values))


def test_ports_and_conditions_are_checked(bench):
    step = Route(routes=ROUTES)
    assert set(step.side_flows(bench.flow)) == set(ROUTES)
    assert step.reads(frozenset({"n"})) == {"n", "temperature", "status"}
    with pytest.raises(ExpressionError):
        Route(routes={"a": "n + 1"}).flow(bench.flow)
    with pytest.raises(SchemaError, match="cannot name a port"):
        Route(routes={"a.b": "n > 1"}).flow(bench.flow)
