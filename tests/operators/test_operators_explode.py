import polars as pl
import pytest

from pydatastream.core.batch import CLOCK
from pydatastream.core.errors import SchemaError
from pydatastream.operators.explode import Explode

TAGS = [["a", None], [], None, ["b"]]


def test_each_element_is_a_row(bench):
    rows = bench.clocked(bench.rows(n=[1, 2, 3, 4], tags=TAGS))
    out = bench.run(Explode(column="tags"), rows)["main"]
    assert out.select("n", "tags").rows() == [(1, "a"), (1, None), (4, "b")]
    assert out.drop(CLOCK).schema == Explode(column="tags").flow(bench.flow).schema
    assert out[CLOCK][0] == out[CLOCK][1]


def test_empty_lists_may_be_kept(bench):
    out = bench.run(Explode(column="tags", keep_empty=True), bench.rows(n=[1, 2, 3, 4], tags=TAGS))
    assert out["main"]["n"].to_list() == [1, 1, 2, 3, 4]
    assert out["main"]["tags"].to_list() == ["a", None, None, None, "b"]


def test_only_lists_explode(bench):
    with pytest.raises(SchemaError, match="holds string, not a list"):
        Explode(column="status").flow(bench.flow)
    assert Explode(column="tags").flow(bench.flow).schema["tags"] == pl.String
    assert Explode(column="tags").reads(frozenset({"n"})) == {"n", "tags"}
