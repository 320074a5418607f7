"""Aggregates: cut the rows anywhere, merge the parts: the result is that of all rows at once."""

import math
import statistics
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatastream.core.errors import ConfigError, ExpressionError, SchemaError
from pydatastream.core.operator import EventTime
from pydatastream.parts.sql.aggregate_functions import AGGREGATES
from pydatastream.parts.sql.aggregates import Aggregation, aggregation
from pydatastream.parts.sql.functions import AGGREGATE_NAMES, FUNCTIONS

START = datetime(2024, 1, 1, tzinfo=UTC)
SCHEMA = pl.Schema(
    {
        "k": pl.String(),
        "n": pl.Int64(),
        "f": pl.Float64(),
        "s": pl.String(),
        "ok": pl.Boolean(),
        "t": pl.Datetime("us", "UTC"),
    }
)
TIME = EventTime("t")


def known(values: list) -> list:
    return [one for one in values if one is not None and one == one]


def in_time(rows: list[dict], last: bool) -> dict:
    """Of equal times the first, or the last, to arrive."""
    ranked = sorted(rows, key=lambda row: row["t"])
    return ranked[-1] if last else ranked[0]


def column(rows: list[dict], name: str) -> list:
    return [row[name] for row in rows]


def or_none(run, values: list, least: int = 1):
    return run(values) if len(values) >= least else None


def at_most(rows: list[dict], greatest: bool):
    ranked = [row for row in rows if row["s"] is not None and known([row["f"]])]
    if not ranked:
        return None
    return (max if greatest else min)(ranked, key=lambda row: row["f"])["s"]


def best(rows: list[dict], count: int, greatest: bool) -> list:
    """Of equals the first to arrive."""
    ranked = [row for row in rows if row["s"] is not None and known([row["f"]])]
    ranked.sort(key=lambda row: -row["f"] if greatest else row["f"])
    return column(ranked[:count], "s")


def linear(values: list, share: float) -> float:
    """The quantile between the two nearest ranks."""
    ordered, place = sorted(values), share * (len(values) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low + (high - low) * (place - math.floor(place))


def positive(rows: list[dict]) -> list[dict]:
    return [row for row in rows if row["n"] is not None and row["n"] > 0]


def most_frequent(values: list, many: int) -> list:
    return sorted(set(values), key=lambda one: (-values.count(one), one))[:many]


ORACLE = {
    "count(*)": len,
    "count(n)": lambda rows: len(known(column(rows, "n"))),
    "count(f)": lambda rows: len(known(column(rows, "f"))),
    "count(*) filter (where n > 0)": lambda rows: len(positive(rows)),
    "sum(n)": lambda rows: or_none(sum, known(column(rows, "n"))),
    "sum(f)": lambda rows: or_none(math.fsum, known(column(rows, "f"))),
    "sum(n) filter (where ok)": lambda rows: or_none(
        sum, known([row["n"] for row in rows if row["ok"]])
    ),
    "avg(n)": lambda rows: or_none(statistics.fmean, known(column(rows, "n"))),
    "mean(f)": lambda rows: or_none(statistics.fmean, known(column(rows, "f"))),
    "min(f)": lambda rows: or_none(min, known(column(rows, "f"))),
    "max(f)": lambda rows: or_none(max, known(column(rows, "f"))),
    "min(s)": lambda rows: or_none(min, known(column(rows, "s"))),
    "max(t)": lambda rows: max(column(rows, "t")),
    "stddev(f)": lambda rows: or_none(statistics.stdev, known(column(rows, "f")), 2),
    "stddev_samp(n)": lambda rows: or_none(statistics.stdev, known(column(rows, "n")), 2),
    "stddev_pop(f)": lambda rows: or_none(statistics.pstdev, known(column(rows, "f"))),
    "variance(n)": lambda rows: or_none(statistics.variance, known(column(rows, "n")), 2),
    "var(f)": lambda rows: or_none(statistics.variance, known(column(rows, "f")), 2),
    "var_samp(f)": lambda rows: or_none(statistics.variance, known(column(rows, "f")), 2),
    "var_pop(f)": lambda rows: or_none(statistics.pvariance, known(column(rows, "f"))),
    "first(s)": lambda rows: in_time(rows, last=False)["s"],
    "last(s)": lambda rows: in_time(rows, last=True)["s"],
    "last(s) filter (where n > 0)": lambda rows: or_none(
        lambda some: in_time(some, last=True)["s"], positive(rows)
    ),
    "count(distinct s)": lambda rows: len(set(known(column(rows, "s")))),
    "count_distinct(n)": lambda rows: len(set(known(column(rows, "n")))),
    "median(f)": lambda rows: or_none(statistics.median, known(column(rows, "f"))),
    "quantile(f, 0.9)": lambda rows: or_none(
        lambda some: linear(some, 0.9), known(column(rows, "f"))
    ),
    "quantile_cont(n, 0)": lambda rows: or_none(min, known(column(rows, "n"))),
    "percentile_cont(0.25) within group (order by n)": lambda rows: or_none(
        lambda some: linear(some, 0.25), known(column(rows, "n"))
    ),
    "arg_max(s, f)": lambda rows: at_most(rows, greatest=True),
    "arg_min(s, f)": lambda rows: at_most(rows, greatest=False),
    "arg_max(s, f, 2)": lambda rows: best(rows, 2, greatest=True),
    "arg_min(s, f, 3)": lambda rows: best(rows, 3, greatest=False),
    "approx_top(s, 2)": lambda rows: most_frequent(known(column(rows, "s")), 2),
    "any_value(s)": lambda rows: or_none(lambda some: some[0], known(column(rows, "s"))),
    "bool_and(ok)": lambda rows: or_none(all, known(column(rows, "ok"))),
    "bool_or(ok)": lambda rows: or_none(any, known(column(rows, "ok"))),
    "list(n)": lambda rows: column(rows, "n"),
    "array_agg(s) filter (where n > 0)": lambda rows: column(positive(rows), "s"),
    "approx_count_distinct(s)": lambda rows: len(set(known(column(rows, "s")))),
    "sum(n) / count(*)": lambda rows: or_none(
        lambda some: sum(some) / len(rows), known(column(rows, "n"))
    ),
    "max(t) - min(t)": lambda rows: max(column(rows, "t")) - min(column(rows, "t")),
    "coalesce(sum(n), 0) + 1": lambda rows: sum(known(column(rows, "n"))) + 1,
    "case when count(*) > 2 then 'many' else 'few' end": lambda rows: (
        "many" if len(rows) > 2 else "few"
    ),
    "avg(n * 2 + 1)": lambda rows: or_none(
        statistics.fmean, [2 * one + 1 for one in known(column(rows, "n"))]
    ),
}
AGGREGATION = aggregation({text: text for text in ORACLE}, SCHEMA, TIME)

ROW = st.fixed_dictionaries(
    {
        "k": st.sampled_from(["a", "b"]),
        "n": st.none() | st.integers(-1000, 1000),
        "f": st.none() | st.just(math.nan) | st.integers(-800, 800).map(lambda one: one / 8),
        "s": st.none() | st.sampled_from(["x", "y", "z", ""]),
        "ok": st.none() | st.booleans(),
        "t": st.integers(0, 5).map(lambda one: START + timedelta(seconds=one)),
    }
)


def parts_of(one: Aggregation, rows: pl.DataFrame, cuts: list[int]) -> list[pl.DataFrame]:
    ends = sorted({0, rows.height, *(cut % (rows.height + 1) for cut in cuts)})
    pieces = [rows[start:end] for start, end in pairwise(ends)]
    return [piece.with_columns(one.prepare).group_by("k").agg(one.partial) for piece in pieces]


def merged(one: Aggregation, parts: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(parts).group_by("k").agg(one.merge)


def finished(one: Aggregation, parts: pl.DataFrame) -> dict[str, dict]:
    rows = parts.select("k", *one.final)
    assert dict(rows.drop("k").schema) == dict(one.schema)
    return {row.pop("k"): row for row in rows.to_dicts()}


def close(found: object, expected: object) -> bool:
    if isinstance(found, float) and isinstance(expected, int | float):
        return math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)
    return type(found) is type(expected) and found == expected


@settings(max_examples=150, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=30), st.lists(st.integers(0, 100), max_size=6))
def test_parts_merged_anywhere_give_what_an_oracle_gives(rows: list[dict], cuts: list[int]) -> None:
    frame = pl.DataFrame(rows, schema=SCHEMA)
    parts = parts_of(AGGREGATION, frame, cuts)
    halves = [parts[: len(parts) // 2], parts[len(parts) // 2 :]]
    twice = merged(AGGREGATION, [merged(AGGREGATION, half) for half in halves if half])
    for result in (merged(AGGREGATION, parts), twice):
        assert result.schema == parts[0].schema
        for key, found in finished(AGGREGATION, result).items():
            group = [row for row in rows if row["k"] == key]
            for text, oracle in ORACLE.items():
                assert close(found[text], oracle(group)), (text, found[text], oracle(group))


def test_every_aggregate_has_an_oracle_and_no_function_has_its_name() -> None:
    tried = {text.split("(")[0] for text in ORACLE} | {"approx_quantile"}
    assert set(AGGREGATES) <= tried
    assert set(AGGREGATES) == AGGREGATE_NAMES
    assert not AGGREGATE_NAMES & set(FUNCTIONS)


def test_rows_are_always_counted() -> None:
    one = aggregation({"hi": "max(n)"}, SCHEMA)
    rows = pl.DataFrame({"k": ["a", "a"], "n": [1, None]}, schema_overrides={"n": pl.Int64})
    parts = merged(one, parts_of(one, rows, [1]))
    assert parts[one.count].to_list() == [2]


def test_what_is_shared_is_computed_once() -> None:
    one = aggregation({"a": "avg(n)", "b": "sum(n)", "c": "sum(n) / count(n)"}, SCHEMA)
    assert len(one.partial) == 3  # rows, sum, count
    two = aggregation({"a": "sum(n) filter (where n in (1, 2))", "b": "sum(n)"}, SCHEMA)
    assert len(two.partial) == 5
    many = ", ".join(map(str, range(100)))
    three = aggregation(
        {"a": f"count(*) filter (where n in ({many}, 998))",
         "b": f"count(*) filter (where n in ({many}, 999))"}, SCHEMA
    )  # fmt: skip
    assert len(three.partial) == 3


def test_partial_columns_never_clash_with_users_columns() -> None:
    one = aggregation({"n": "sum(n)", "f": "max(f)"}, SCHEMA)
    names = [expr.meta.output_name() for expr in one.partial]
    assert all(name.startswith("__") for name in names)
    assert len(set(names)) == len(names)


def test_aggregates_work_without_groups() -> None:
    frame = pl.DataFrame({"n": [3, 1, 1]})
    texts = ("median(n)", "count(distinct n)", "approx_count_distinct(n)", "list(n)",
             "approx_quantile(n, 0)")  # fmt: skip
    one = aggregation({text: text for text in texts}, frame.schema)
    ready = frame.with_columns(one.prepare)
    parts = pl.concat([ready.select(one.partial), ready.select(one.partial)])
    (row,) = parts.select(one.merge).select(one.final).rows()
    assert row[:4] == (1.0, 2, 2, [3, 1, 1, 3, 1, 1])
    assert row[4] == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize("dtype", [pl.Int8(), pl.Int32(), pl.UInt32(), pl.Int64()])
def test_a_sum_of_integers_does_not_wrap(dtype: pl.DataType) -> None:
    top = dtype.max().pipe(pl.select).item()  # type: ignore[attr-defined]
    frame = pl.DataFrame({"k": ["a"] * 3, "n": pl.Series([top, top, 2 - top], dtype=pl.Int128)})
    frame = frame.filter(pl.col("n") >= 0).with_columns(pl.col("n").cast(dtype))
    one = aggregation({"sum": "sum(n)", "avg": "avg(n)"}, frame.schema)
    parts = merged(one, parts_of(one, frame, [1]))
    if dtype == pl.Int64():
        with pytest.raises(pl.exceptions.InvalidOperationError):
            finished(one, parts)
    else:
        assert finished(one, parts)["a"] == {"sum": 2 * top, "avg": top}


def test_a_sum_may_pass_through_more_than_64_bits() -> None:
    top = 2**63 - 1
    frame = pl.DataFrame({"k": ["a"] * 4, "n": [top, top, -top, -top + 5]})
    one = aggregation({"sum": "sum(n)"}, frame.schema)
    assert finished(one, merged(one, parts_of(one, frame, [2])))["a"] == {"sum": 5}


def test_a_partial_survives_arrow_ipc() -> None:
    frame = pl.DataFrame(
        {"k": ["a"], "n": [2**62], "t": [START]}, schema_overrides={"t": SCHEMA["t"]}
    )
    one = aggregation(
        {"a": "sum(n)", "b": "approx_quantile(n, 0.5)", "c": "last(n)"}, frame.schema, TIME
    )
    (part,) = parts_of(one, frame, [])
    stored = part.write_ipc(None)
    stored.seek(0)
    assert pl.read_ipc(stored).equals(part)


def test_variance_of_large_numbers_close_together() -> None:
    """Sums of squares would lose all digits here."""
    values = [1e9 + one for one in (4.0, 7.0, 13.0, 16.0)]
    frame = pl.DataFrame({"k": ["a"] * 4, "f": values})
    one = aggregation({"v": "variance(f)"}, frame.schema)
    found = finished(one, merged(one, parts_of(one, frame, [1, 2])))["a"]["v"]
    assert found == pytest.approx(30.0, rel=1e-9)


@pytest.mark.parametrize("size", [10, 1_000, 12_000, 100_000, 1_000_000])
@pytest.mark.parametrize("text", [False, True])
def test_distinct_counts_are_close(size: int, text: bool) -> None:
    """Four standard errors of HyperLogLog with 4,096 registers are 6.5 %."""
    numbers = pl.int_range(size, eager=True)
    frame = pl.DataFrame({"k": pl.repeat("a", 2 * size, eager=True),
                          "n": numbers.append(numbers)})  # fmt: skip
    frame = frame.with_columns(pl.col("n").cast(pl.String)) if text else frame
    one = aggregation({"d": "approx_count_distinct(n)"}, frame.schema)
    parts = merged(one, parts_of(one, frame, [size // 3, size + 7]))
    assert finished(one, parts)["a"]["d"] == pytest.approx(size, rel=0.065)
    assert parts.to_series(2).list.len().max() <= 4_096  # type: ignore[operator]


def in_range(value: float) -> bool:
    return value == 0 or abs(value) > 1e-300


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1e300, 1e300).filter(in_range), min_size=1, max_size=60),
    st.sampled_from([0.0, 0.1, 0.5, 0.95, 1.0]),
    st.lists(st.integers(0, 100), max_size=4),
)  # fmt: skip
def test_approximate_quantiles_are_within_one_percent(
    values: list[float], share: float, cuts: list[int]
) -> None:
    frame = pl.DataFrame({"k": ["a"] * len(values), "f": values})
    one = aggregation({"q": f"approx_quantile(f, {share})"}, frame.schema)
    found = finished(one, merged(one, parts_of(one, frame, cuts)))["a"]["q"]
    place = share * (len(values) - 1)
    ordered = sorted(values)
    near = {ordered[math.floor(place)], ordered[math.ceil(place)]}
    assert any(math.isclose(found, wanted, rel_tol=0.0101) for wanted in near)


def test_a_sketch_of_quantiles_stays_small() -> None:
    frame = pl.select(k=pl.lit("a"), f=pl.int_range(1, 1_000_001).cast(pl.Float64))
    one = aggregation({"q": "approx_quantile(f, 0.5)"}, frame.schema)
    parts = merged(one, parts_of(one, frame, [500_000]))
    assert parts.to_series(2).list.len().max() < 115 * 6 + 2  # type: ignore[operator]
    assert finished(one, parts)["a"]["q"] == pytest.approx(500_000, rel=0.01)


REFUSED = {
    "n": "must be inside an aggregate",
    "avg(n) + n": "must be inside an aggregate",
    "k.x": "has no field",
    "nn": "did you mean 'n'",
    "sum(s)": "needs a number",
    "summ(n)": "did you mean 'sum'",
    "sum(nope)": "no column 'nope'",
    "sum(ok)": "FILTER",
    "sum(sum(n))": "aggregate",
    "lower(max(n))": "needs a string",
    "max(list(n))": "aggregate",
    "1": "holds no aggregate",
    "quantile(n, 2)": "between 0 and 1",
    "quantile(n, f)": "written out",
    "quantile(n, true)": "between 0 and 1",
    "sum(distinct n)": "count(distinct x)",
    "count(distinct n, f)": "takes 1",
    "count()": "count(*)",
    "count(n, f)": "takes 0 to 1",
    "sum(*)": "not allowed",
    "sum(n) filter (where n)": "needs a boolean",
    "lower(s) filter (where ok)": "FILTER follows an aggregate",
    "sum(n) over ()": "window function",
    "first(s order by n)": "not allowed",
    "percentile_cont(0.5) within group (order by n desc)": "WITHIN GROUP",
    "now()": "differ at each run",
    "max(array)": "no column",
    "min(list_col)": "no column",
    "count(*": "unexpected",
    "avg(n) > (select 1)": "subquery",
}


@pytest.mark.parametrize("text", REFUSED)
def test_refused_with_the_name_of_the_aggregate(text: str) -> None:
    with pytest.raises((ExpressionError, SchemaError)) as caught:
        aggregation({"good": "count(*)", "odd": text}, SCHEMA, TIME)
    assert "aggregate 'odd'" in str(caught.value)
    assert REFUSED[text] in str(caught.value)


def test_first_and_last_need_event_time() -> None:
    with pytest.raises(ExpressionError, match="needs event time"):
        aggregation({"x": "last(n)"}, SCHEMA)


def test_a_polars_expression_is_no_aggregate() -> None:
    with pytest.raises(ConfigError, match="is SQL text"):
        aggregation({"x": pl.col("n").sum()}, SCHEMA)  # type: ignore[dict-item]


@pytest.mark.parametrize("count", ["0", "-1", "1.5", "n", "10001"])
def test_the_best_are_so_many(count: str) -> None:
    with pytest.raises(ExpressionError, match="arg_max needs a (number from 1 to 10,000|value)"):
        aggregation({"best": f"arg_max(s, f, {count})"}, SCHEMA, TIME)
