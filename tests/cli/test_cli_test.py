"""pds test, and pydatastream.testing."""

from decimal import Decimal

import polars as pl
import pytest

from pydatastream import Pipeline
from pydatastream.core.errors import ConfigError
from pydatastream.testing import assert_gives, cases, run_tests
from pydatastream.testing.comparing import differences

GOOD = """
tests:
  - name: cold readings are left out
    given:
      - {device_id: attic, ts: "2026-01-01T12:00:05Z", temperature: 21.5}
      - {device_id: cellar, ts: "2026-01-01T12:00:10Z", temperature: 8.0}
      - {device_id: attic, ts: "2026-01-01T12:00:15Z", temperature: 21.6}
    expect:
      - {device_id: attic, window_start: "2026-01-01T12:00:00Z", n: 2, mean: 21.55}
"""
MORE = """
  - name: the watermark closes windows, and a bad row is dead
    given:
      - {device_id: attic, ts: "2026-01-01T12:00:05Z", temperature: 21.5}
      - {watermark: "2026-01-01T12:01:00Z"}
      - {device_id: attic, ts: "2026-01-01T12:00:59Z", temperature: 20.0}
      - {device_id: attic, ts: "2026-01-01T12:00:59Z", temperature: warm}
    expect:
      - {device_id: attic, n: 1}
    late: [{device_id: attic, temperature: 20}]
    dead: [{step: source, temperature: warm}]
"""
BAD = """
  - name: it counts to three
    given: [{device_id: attic, ts: "2026-01-01T12:00:05Z", temperature: 21.5}]
    expect: [{device_id: attic, n: 3}, {device_id: cellar, n: 1}]
"""


def write(folder, *tests):
    with (folder / "minutes.yaml").open("a") as file:
        file.write("".join(tests))


def test_tests_that_pass(pds, folder):
    write(folder, GOOD, MORE)
    (folder / "readings.jsonl").unlink()
    said = pds("test", "minutes.yaml")
    assert said.code == 0, said
    assert said.out == (
        "pass  cold readings are left out\n"
        "pass  the watermark closes windows, and a bad row is dead\n"
        "2 tests passed\n"
    )
    assert {path.name for path in folder.iterdir()} == {"minutes.yaml"}


def test_a_test_that_fails_shows_what_is_missing_and_what_is_too_much(pds, folder):
    write(folder, GOOD, BAD)
    said = pds("test", "minutes.yaml")
    assert said.code == 1
    assert said.out.splitlines()[1:] == [
        "FAIL  it counts to three",
        "      output output: 2 expected, 1 came",
        "        - {device_id: attic, n: 3}",
        "        + {device_id: attic, n: 1}",
        "        - {device_id: cellar, n: 1}",
        "1 of 2 tests failed",
    ]


def test_a_file_without_tests_shows_how_one_looks(pds):
    said = pds("test", "minutes.yaml")
    assert said.code == 0
    assert "minutes.yaml has no tests; one looks like this:\ntests:" in said.out


@pytest.mark.parametrize(
    ("test", "what"),
    [
        ("{nam: x}", "a test has no key 'nam'"),
        ("7", "a test is a mapping"),
        ("{given: 3}", "`given` is a list of rows"),
        ("{given: {sauce: []}}", "`given`: nothing is called 'sauce'"),
        ("{given: [3]}", "`given` is a list of rows, each a mapping"),
        ("{given: [{watermark: soon}]}", "'soon' is no time"),
        ("{given: [{temprature: 3}], expect: []}", "source source has no column 'temprature'"),
        ("{expect: {late: [], x: []}}", "`expect`: nothing is called 'x'"),
        ("{dead: many}", "`dead`, if it is no number, is a list of rows"),
    ],
)
def test_a_test_that_is_none_is_refused(pds, folder, test, what):
    write(folder, f"tests:\n  - {test}\n")
    said = pds("test", "minutes.yaml")
    assert said.code == 2
    assert what in said.err


def rows(*values):
    return [{"k": "a", "ts": at, "n": n} for at, n in values]


PIPELINE = (
    Pipeline("p")
    .read("file", path="nowhere.jsonl", time="ts", time_unit="ms")
    .tumbling("1m", by=["k"], lateness="10s", total="sum(n)")
    .write("null", name="sums")
)
START = 1_700_000_040_000


def test_times_are_in_the_unit_of_the_source_or_text():
    expect = [{"k": "a", "window_start": "2023-11-14T22:14:00Z", "total": 3}]
    assert_gives(PIPELINE, rows((START, 1), (START + 1, 2)), expect)
    assert_gives(PIPELINE, rows((START, 1), ("2023-11-14T22:14:07Z", 2)), {"sums": expect})


def test_lateness_waits_for_a_row():
    given = rows((START, 1), (START + 65_000, 5), (START + 1, 2), (START + 75_000, 7), (START, 9))
    assert_gives(PIPELINE, given, [{"total": 3}, {"total": 12}], late=[{"n": 9}])
    with pytest.raises(AssertionError, match="late rows: 0 expected, 1 came"):
        assert_gives(PIPELINE, given, [{"total": 3}, {"total": 12}])


def test_dead_rows_must_be_expected():
    with pytest.raises(AssertionError, match="dead letters: 0 expected, 1 came"):
        assert_gives(PIPELINE, rows((START, 1), (None, 2)), [{"total": 1}])
    assert_gives(PIPELINE, rows((START, 1), (None, 2)), [{"total": 1}], dead=1)


def test_order_counts_where_it_is_asked_for():
    pipeline = Pipeline.read("memory", rows=[]).filter("n > 0").write("null", name="out")
    given, turned = [{"n": 1}, {"n": 2}], [{"n": 2}, {"n": 1}]
    assert_gives(pipeline, given, turned)
    with pytest.raises(AssertionError, match="row 1"):
        assert_gives(pipeline, given, turned, ordered=True)


def test_several_sources_and_outputs_are_named():
    pipeline = (
        Pipeline("both")
        .read("memory", rows=[], name="left")
        .read("memory", rows=[], name="right")
        .union(inputs=["left", "right"])
        .write("null", name="all")
        .filter("n > 1", name="some", inputs="union")
        .write("null", name="large", input="some")
    )
    given = {"left": [{"n": 1}], "right": [{"n": 2}]}
    assert_gives(pipeline, given, {"all": [{"n": 2}, {"n": 1}], "large": [{"n": 2}]})
    with pytest.raises(ConfigError, match="`given` of which"):
        assert_gives(pipeline, [{"n": 1}], {"all": []})


def test_late_rows_that_the_pipeline_takes_need_not_be_expected():
    pipeline = PIPELINE.write("null", name="too_late", input="tumbling.late")
    given = rows((START, 1), (START + 75_000, 7), (START, 9))
    assert_gives(pipeline, given, {"too_late": [{"k": "a", "n": 9}]})


def test_processing_time_is_the_watermark_of_the_test():
    pipeline = (
        Pipeline("p").read("memory", rows=[], time="processing")
        .tumbling("1m", n="count(*)").write("null", name="out")
    )  # fmt: skip
    given = [{"watermark": "2026-01-01T00:00:30Z"}, {"x": 1}, {"watermark": "2026-01-01T00:05:00Z"}]
    assert_gives(pipeline, given, [{"window_start": "2026-01-01T00:00:00Z", "n": 1}])


def test_a_run_that_stops_is_a_failure_not_an_error(folder):
    write(folder, GOOD)
    assert [one.name for one in cases(Pipeline.load("minutes.yaml"))] == [
        "cold readings are left out"
    ]
    assert all(one.passed for one in run_tests(Pipeline.load("minutes.yaml")))


@pytest.mark.parametrize(
    ("expected", "came", "lines"),
    [
        ([{"x": 0.3}], {"x": [0.1 + 0.2]}, 0),
        ([{"x": 0.3}], {"x": [0.3001]}, 3),
        ([{"x": None}], {"x": [None]}, 0),
        ([{"x": 1}], {"x": [True]}, 3),
        ([{"x": [1, 2]}], {"x": [[1, 2]]}, 0),
        ([{"x": {"y": 1}}], {"x": [{"y": 1, "z": 2}]}, 0),
        ([{"x": 1}, {"x": 1}], {"x": [1]}, 2),
        ([], {"x": [1]}, 2),
        (1, {"x": [1]}, 0),
        (2, {"x": [1]}, 2),
        ([{"y": 1}], {"x": [1]}, 1),
    ],
)
def test_values_are_compared(expected, came, lines):
    assert len(differences("rows", expected, pl.DataFrame(came))) == lines


def test_decimals_and_durations_are_written_plainly():
    frame = pl.DataFrame({"price": [Decimal("1.50")]}).with_columns(took=pl.duration(minutes=2))
    assert differences("rows", [{"price": 1.5, "took": "2m"}], frame) == []
