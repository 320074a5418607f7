import pytest

from pydatastream.core.batch import CLOCK
from pydatastream.core.errors import ExpressionError, SchemaError
from pydatastream.operators.filter import Filter


def test_a_null_condition_drops_the_row(bench):
    rows = bench.rows(temperature=[5.0, 15.0, None, 25.0])
    out = bench.run(Filter(where="temperature > 10"), rows)
    assert out["main"]["temperature"].to_list() == [15.0, 25.0]


def test_the_clock_passes_through(bench):
    rows = bench.clocked(bench.rows(temperature=[5.0, 15.0]))
    assert CLOCK in bench.run(Filter(where="temperature > 10"), rows)["main"].columns


@pytest.mark.parametrize(
    ("where", "error"), [("temprature > 10", SchemaError), ("temperature", ExpressionError)]
)
def test_what_does_not_fit_is_refused_before_the_run(bench, where, error):
    with pytest.raises(error):
        Filter(where=where).flow(bench.flow)


def test_it_reads_what_it_passes_and_what_it_asks(bench):
    step = Filter(where="temperature > n")
    assert step.reads(frozenset({"status"})) == {"status", "temperature", "n"}
    assert step.reads(None) is None
    assert step.flow(bench.flow) == bench.flow
