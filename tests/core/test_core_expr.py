"""Expressions give what DuckDB gives, and what SQL says about null."""

from datetime import UTC, date, datetime, timedelta

import duckdb
import polars as pl
import pytest
from pydantic import ValidationError

from pydatastream.core.component import Component
from pydatastream.core.errors import ExpressionError, NotPortable, SchemaError
from pydatastream.core.types import TYPES
from pydatastream.parts.sql.expressions import Sql, columns_of, condition, expression, to_dialect
from pydatastream.parts.sql.functions import FUNCTIONS

NOON = datetime(2024, 1, 7, 12, 34, 56, 789_000, tzinfo=UTC)
SCHEMA = pl.Schema(
    {
        "a": pl.Int64(),
        "b": pl.Float64(),
        "s": pl.String(),
        "t": pl.Datetime("us", "UTC"),
        "d": pl.Date(),
        "ok": pl.Boolean(),
        "tags": pl.List(pl.String()),
        "small": pl.Int8(),
        "big": pl.UInt64(),
        "spot": pl.Struct({"x": pl.Int64(), "in ner": pl.Struct({"y": pl.String()})}),
        "odd name": pl.Int64(),
        "naive": pl.Datetime("ms"),
        "f32": pl.Float32(),
        "span": pl.Duration("us"),
    }
)
ROWS = pl.DataFrame(
    {
        "a": [-7, 0, 2, None, 41],
        "b": [1.5, -2.5, 0.0, None, 100.25],
        "s": ["abc", "A%c_d", "", None, " 12 "],
        "t": [NOON, NOON - timedelta(days=40), datetime(1969, 12, 31, tzinfo=UTC), None, NOON],
        "d": [date(2024, 2, 29), date(2023, 1, 1), date(1960, 5, 6), None, date(2024, 1, 1)],
        "ok": [True, False, True, None, False],
        "tags": [["p", "q"], [], ["q"], None, ["x", "y", "z"]],
        "small": [127, -128, 0, None, 1],
        "big": [2**63, 0, 1, None, 7],
        "spot": [{"x": 1, "in ner": {"y": "why"}}] * 5,
        "odd name": [1, 2, 3, None, 5],
        "naive": [NOON.replace(tzinfo=None)] * 5,
        "f32": [0.1, 0.5, 0.0, None, 2.0],
        "span": [timedelta(minutes=5), timedelta(0), timedelta(days=-1), None, timedelta(hours=3)],
    },
    schema=SCHEMA,
)


def run(text: str, rows: pl.DataFrame = ROWS) -> list:
    typed = expression(text, rows.schema)
    found = rows.with_columns(found=typed.expr)["found"]
    assert found.dtype == typed.dtype, text
    return found.to_list()


SAME_AS_DUCKDB = """
a + 1; a - a * 3; a / 2; a / 0; b / 0; b * 2 - 1; -a; -b; a // 2; a // -2; a % 3; a % -3; -a % 3
b % 2; 2 ** 10; b ** 2; a > 1; a >= 0 and b < 2; a < 0 or ok; not ok; not (a > 1 or b > 1)
ok and null; ok or null; a = null; a <> 2; a in (1, 2, 41); a not in (2); a in (2, null)
a not in (2, null); s in ('abc', ''); a between -7 and 2; a not between 0 and 2; s is null
s is not null; ok is true; ok is not true; ok is false; a is distinct from 2
a is not distinct from null; s = 'abc'; s > 'a'; a = b; a < b; small > 100; small + a
s like 'a%'; s like '%c'; s like '%b%'; s like 'abc'; s like 'a_c'; s like '%'; s like ''
s ilike 'ABC'; s like 'A!%%' escape '!'; s like '%!_d' escape '!'; s not like 'a%'
s ilike 'a%d'; s like '_%'; regexp_matches(s, '^[a-c]+$'); regexp_matches(s, 'b'); s || '!'
s || null; case when a > 1 then 'big' when a = 0 then 'zero' else s end
case a when 2 then 1 when 0 then 2 end; case when ok then 1 end
case when a > 0 then 1 else 2.5 end; if(ok, 'y', 'n'); cast(a as varchar); cast(a as double)
a::text; cast(ok as int); cast(a as bool); cast(s as varchar); try_cast(s as double)
try_cast(s as bigint); cast('42' as int) + a; cast(d as varchar); coalesce(a, 0)
coalesce(null, s, 'none'); nullif(a, 2); greatest(a, 1); least(a, 1, b); ifnull(a, 5); lower(s)
upper(s); trim(s); ltrim(s); rtrim(s); trim(s, 'a'); length(s); substr(s, 2); substr(s, 2, 2)
substr(s, -2); substr(s, -3, 2); substr(s, 0, 2); substring(s, 1, 1); left(s, 2); right(s, 2)
left(s, -1); replace(s, 'b', 'xx'); split_part(s, 'b', 1); split_part(s, 'b', 2)
split_part(s, 'b', 3); split_part(s, 'b', -1); starts_with(s, 'a'); ends_with(s, 'c')
contains(s, 'b'); concat(s, '-', a); lpad(s, 5, '*'); rpad(s, 5, '*'); lpad(s, 2, '*')
reverse(s); abs(a); abs(b); round(b); round(b, 1); floor(b); ceil(b); ceiling(b); sqrt(abs(b))
exp(b / 100); power(b, 2); ln(abs(b) + 1); log10(abs(b) + 1); log2(abs(b) + 1); mod(a, 5)
sign(a); sign(b); sin(b); cos(b); tan(b); isnan(b); isfinite(b); date_trunc('minute', t)
date_trunc('hour', t); date_trunc('day', t); date_trunc('week', t); date_trunc('month', t)
date_trunc('year', t); date_trunc('quarter', t); year(t); month(t); day(t); hour(t); minute(t)
second(t); dayofweek(t); dayofyear(t); quarter(t); week(t); extract(hour from t)
extract(dayofweek from t); extract(epoch from t); epoch(t); epoch_ms(t); year(d); dayofweek(d)
millisecond(t); microsecond(t); to_timestamp(a); t > timestamptz '2024-01-01 00:00:00+00'
t + interval '5 minutes'; t - interval '2 days'; d > date '2024-01-01'; d = '2024-02-29'
t between timestamptz '2024-01-01 00:00:00+00' and timestamptz '2025-01-01 00:00:00+00'
len(tags); tags[1]; tags[-1]; tags[2]; tags[9]; list_contains(tags, 'q'); array_length(tags)
spot.x + 1; spot."in ner".y; "odd name" * 2
"""
TEXTS = [text.strip() for line in SAME_AS_DUCKDB.splitlines() for text in line.split(";") if text]


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    connection.register("rows", ROWS.with_columns(n=pl.int_range(pl.len())).to_arrow())
    return connection


def plain(value: object) -> object:
    """Numbers as floats rounded to nine digits, times in UTC."""
    if isinstance(value, bool) or value is None:
        return value
    if hasattr(value, "astimezone"):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    try:
        return f"{float(value):.9g}" if not isinstance(value, str) else value
    except TypeError:
        return value


@pytest.mark.parametrize("text", TEXTS)
def test_same_as_duckdb(text: str, database: duckdb.DuckDBPyConnection) -> None:
    expected = database.sql(f"select {text} from rows order by n").pl()  # noqa: S608
    found = run(text)
    assert [plain(one) for one in found] == [plain(one) for one in expected.to_series()]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a // 0", [None] * 5),
        ("a % 0", [None] * 5),
        ("s ~ 'b'", [True, False, False, None, False]),
        ("cast(b as int)", [1, -2, 0, None, 100]),
        ("cast(t as string)", ["2024-01-07T12:34:56.789Z"]),
        ("cast('2024-01-07T14:34:56.789+02:00' as timestamp) = t", [True]),
        ("naive = t", [True]),
        ("t > '2024-01-01'", [True, False, False, None, True]),
        ("big > a", [True, False, False, None, False]),
        ("f32 = 0.1", [True]),
        ("epoch(span)", [300.0, 0.0, -86400.0, None, 10800.0]),
        ("t - t", [timedelta(0)]),
        ("span * 2", [timedelta(minutes=10)]),
        ("span / interval '1 minute'", [5.0]),
        ("epoch_ms(1500)", [datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)]),
        ("interval '1h30m'", [timedelta(minutes=90)]),
        ("interval 2 hours", [timedelta(hours=2)]),
        ("1_000", [1000]),
        ("true", [True]),
        ("null", [None]),
        ("spot.x is not null and spot.x < 10", [True]),
        ("a -- a comment", [-7]),
    ],
)
def test_our_own_rules(text: str, found: list) -> None:
    assert run(text)[: len(found)] == found


def test_text_becomes_a_timestamp_by_its_own_shape() -> None:
    """Never by what its neighbours look like: batches may be cut anywhere."""
    texts = ["2024-01-07 12:00:00", "2024-01-07T14:00:00.5+02:00", "2024-01-07", "noon", None]
    rows = pl.DataFrame({"s": texts})
    found = run("try_cast(s as timestamp)", rows)
    alone = [run("try_cast(s as timestamp)", rows[i : i + 1])[0] for i in range(5)]
    assert found == alone
    day = datetime(2024, 1, 7, tzinfo=UTC)
    noon = day + timedelta(hours=12)
    assert found == [noon, noon + timedelta(milliseconds=500), day, None, None]
    with pytest.raises(pl.exceptions.InvalidOperationError):
        run("cast(s as timestamp)", rows)


@pytest.mark.parametrize(("text", "target"), [("x", "int"), ("maybe", "bool"), ("1.5.2", "float")])
def test_a_strict_cast_fails_and_try_cast_gives_null(text: str, target: str) -> None:
    rows = pl.DataFrame({"s": [text]})
    assert run(f"try_cast(s as {target})", rows) == [None]
    with pytest.raises(pl.exceptions.InvalidOperationError):
        run(f"cast(s as {target})", rows)


@pytest.mark.parametrize("name", TYPES)
def test_every_type_name_is_a_cast(name: str) -> None:
    typed = expression(f"cast(null as {name})", SCHEMA)
    assert typed.dtype == TYPES[name]
    assert expression(f"cast(null as {name}[])", SCHEMA).dtype == pl.List(TYPES[name])


@pytest.mark.parametrize("text", ["a + 9223372036854775807", "a * 9223372036854775807"])
def test_integers_never_wrap(text: str) -> None:
    with pytest.raises(pl.exceptions.InvalidOperationError):
        run(text, pl.DataFrame({"a": [2]}))


def test_small_integers_grow() -> None:
    assert run("small + 1")[0] == 128
    assert run("-small")[1] == 128
    assert run("abs(small)")[1] == 128


REFUSED = {
    "aa + 1": "did you mean 'a'",
    "a > '10'": "without quotes: 10",
    "s > 1": "cannot compare string with int",
    "s + 1": "|| joins",
    "lowr(s)": "did you mean 'lower'",
    "now() > t": "time: processing",
    "current_timestamp": "time: processing",
    "random() > 0.5": "differ at each run",
    "(select 1)": "a subquery is not allowed",
    "a in (select 1)": "a subquery is not allowed",
    "exists(select 1)": "not allowed",
    "a; b": "no ';'",
    "drop table x": "",
    "count(*) over ()": "window function",
    "sum(a)": "aggregate",
    "row_number() over (order by a)": "not allowed",
    "10**10**10": "chain of **",
    "10 ** 400": "not a finite number",
    "lpad(s, 1000000000, 'x')": "width up to",
    "s ~ '('": "not a regular expression",
    "s ~ '(a{1000}){1000}'": "not a regular expression",
    "s ~ s": "pattern as text in quotes",
    "s like s": "pattern as text in quotes",
    "a and ok": "needs a boolean",
    "not a": "compare it",
    "cast(a as foo)": "not a type",
    "cast(a as timestamp)": "to_timestamp",
    "cast(t as int)": "epoch(ts)",
    "": "empty",
    "   ": "empty",
    "*": "not allowed",
    "$1": "placeholder",
    "?": "placeholder",
    "a as b": "alias",
    "a b": "alias",
    "(a, b)": "tuple",
    "f(": "unexpected",
    "'abc": "cannot be read",
    "a >": "unexpected",
    "lower(s, s)": "takes 1",
    "case when a then 1 end": "needs a boolean",
    "case when ok then 1 else 'x' end": "one type",
    "read_csv('x')": "no function",
    "interval '1 month'": "no fixed length",
    "t > 'yesterday'": "not a timestamp",
    "spot.y": "no field",
    "a.b": "no field",
    "tags > tags": "cannot order",
    "list_contains(tags, 1)": "cannot hold",
    "tags['x']": "whole number",
    "99999999999999999999": "too large",
    "1e999": "too large",
    "x -> 'a'": "not allowed",
    "[1, 2]": "not allowed",
    "t + 1": "cannot take",
    "t + t": "cannot take",
    "s in tags": "list_contains",
    "a between symmetric 2 and 1": "symmetric",
    "a is s": "IS is followed by",
    "list_filter(tags, x -> x = 'a')": "not allowed",
    "date_trunc('eon', t)": "one of: microsecond",
    "extract(eon from t)": "knows no",
    "round(b, 99)": "digits",
    "(" * 60 + "a" + ")" * 60: "nest deeper than 50",
    "not " * 2000 + "ok": "",
    "- " * 2000 + "a": "",
    "case when " * 60 + "ok" + " then 1 end" * 60: "nest deeper",
    "a" + " + 1" * 300: "nests deeper than 100",
    "x" * 20_000: "at most 10000",
    "abs(" * 3000: "",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:30])
def test_refused_with_a_hint(text: str) -> None:
    with pytest.raises((ExpressionError, SchemaError)) as caught:
        expression(text, SCHEMA)
    assert REFUSED[text] in str(caught.value)
    assert len(str(caught.value)) < 2_000


def test_a_missing_column_is_a_schema_error_with_its_place() -> None:
    with pytest.raises(SchemaError) as caught:
        expression(
            "a > 1 AND\n  temprature > 2", pl.Schema({"a": pl.Int64, "temperature": pl.Float64})
        )
    assert str(caught.value).splitlines() == [
        "no column 'temprature'",
        "  in:   temprature > 2",
        "        ^",
        "  try: did you mean 'temperature'?",
    ]


def test_a_condition_is_true_or_false() -> None:
    assert ROWS.filter(condition("a > 1", SCHEMA)).height == 2
    assert ROWS.filter(condition("null", SCHEMA)).height == 0
    with pytest.raises(ExpressionError, match="gives int"):
        condition("a + 1", SCHEMA)
    with pytest.raises(ExpressionError, match="gives int"):
        condition(pl.col("a"), SCHEMA)


def test_a_polars_expression_will_do() -> None:
    typed = expression(pl.col("a") + pl.col("b"), SCHEMA)
    assert (typed.dtype, typed.columns) == (pl.Float64(), {"a", "b"})
    with pytest.raises(SchemaError, match="no column 'aa'"):
        expression(pl.col("aa"), SCHEMA)
    with pytest.raises(ExpressionError, match="does not fit"):
        expression(pl.col("a").str.to_lowercase(), SCHEMA)
    with pytest.raises(ExpressionError, match="2 columns"):
        expression(pl.col("a", "b"), SCHEMA)


def test_columns_of_an_expression() -> None:
    assert columns_of("a + spot.x > \"odd name\" and lower(s) = 'z'") == {
        "a",
        "spot",
        "odd name",
        "s",
    }
    assert columns_of("cast(a as list[int])") == {"a"}
    assert columns_of(pl.col("a") + 1) == {"a"}
    assert columns_of("1") == frozenset()


@pytest.mark.parametrize(
    ("text", "dialect", "written"),
    [
        ("cast(a as float) > 1", "spark", "CAST(a AS DOUBLE) > 1"),
        ("cast(a as int8)", "spark", "CAST(a AS TINYINT)"),
        ("t > timestamp '2024-01-01'", "spark", "t > CAST('2024-01-01' AS TIMESTAMP)"),
        ("tags[1] = 'x'", "spark", "tags[0] = 'x'"),
        ("s ~ 'x' and a // 2 = 1", "spark", "s RLIKE 'x' AND a DIV 2 = 1"),
        ("date_trunc('minute', t)", "duckdb", "DATE_TRUNC('MINUTE', t)"),
        ("a / 2", "trino", "CAST(a AS DOUBLE) / 2"),
    ],
)
def test_written_for_another_engine(text: str, dialect: str, written: str) -> None:
    assert to_dialect(text, dialect) == written


def test_an_unknown_dialect_is_not_portable() -> None:
    with pytest.raises(NotPortable):
        to_dialect("a + 1", "cobol")


class Step(Component):
    test: Sql
    more: dict[str, Sql] = {}


def test_a_field_of_sql_is_parsed_when_it_is_read() -> None:
    step = Step(test="a > 1", more={"n": 1, "yes": True, "e": pl.col("a") > 1})
    assert step.more["n"] == "1"
    assert step.more["yes"] == "true"
    assert step.options()["test"] == "a > 1"
    assert Step.model_json_schema()["properties"]["test"]["type"] == ["string", "number", "boolean"]
    for bad in ("a >", "(select 1)", ["a"], ""):
        with pytest.raises(ValidationError):
            Step(test=bad)


def test_a_long_chain_of_ors_is_fine() -> None:
    assert run(" or ".join(f"a = {n}" for n in range(500)))[:3] == [False, True, True]
    assert run(f"a in ({', '.join(map(str, range(1500)))})")[:3] == [False, True, True]


def test_no_function_name_is_private() -> None:
    assert all(name.isidentifier() and not name.startswith("_") for name in FUNCTIONS)


@pytest.mark.parametrize("name", ["load", "show", "set", "use", "call", "update", "delete", "copy"])
def test_a_column_may_be_called_like_a_statement(name):
    rows = pl.DataFrame({name: [1.0, 9.0]})
    assert rows.filter(expression(f"{name} > 8", rows.schema).expr).height == 1


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
@pytest.mark.parametrize("count", [0, 9])
def test_too_few_or_too_many_arguments_are_told(name, count):
    args = ", ".join(["a"] * count)
    try:
        expression(f"{name}({args})", SCHEMA)
    except ExpressionError as error:
        assert name in str(error)  # noqa: PT017 - some take as many as there are
    else:
        assert count
