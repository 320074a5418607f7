"""Tests of pipelines: given rows, expected rows, event time as on the real engine, no I/O.

`pds test` runs the tests that stand in a pipeline file under `tests:`; `assert_gives` is for
tests in Python.

    tests:
      - name: cold readings are left out
        given:
          - {device_id: attic, ts: "2026-01-01T12:00:05Z", temperature: 21.5}
          - {device_id: cellar, ts: "2026-01-01T12:00:10Z", temperature: 8.0}
          - {watermark: "2026-01-01T12:05:00Z"}
        expect:
          - {device_id: attic, n: 1}
        late: 0
        dead: 0
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydatastream.core.errors import ConfigError, PdsError
from pydatastream.pipeline import Pipeline
from pydatastream.testing.cases import Case, cases, read
from pydatastream.testing.comparing import differences
from pydatastream.testing.replaying import Given, Ran, given_schemas, replayed

__all__ = ["Case", "Given", "Outcome", "assert_gives", "cases", "run_case", "run_tests"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one test; it has passed if there are no differences."""

    name: str
    differences: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.differences


def run_tests(pipeline: Pipeline, *, python: bool = True) -> list[Outcome]:
    """Run the tests that stand in the pipeline file; `ConfigError` for one that is not one."""
    found = cases(pipeline)
    return [run_case(pipeline, case, found, python=python) for case in found]


def run_case(
    pipeline: Pipeline, case: Case, others: Sequence[Case] = (), *, python: bool = True
) -> Outcome:
    """Run one test; columns that the source does not declare are told by all given rows."""
    schemas = given_schemas(pipeline, [case, *others])
    try:
        ran = replayed(pipeline, case, schemas, python=python)
    except ConfigError:
        raise
    except PdsError as error:
        return Outcome(case.name, (f"the run stopped: {error}",))
    return Outcome(case.name, tuple(_compared(case, ran)))


def assert_gives(
    pipeline: Pipeline,
    given: Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Mapping[str, Any]]],
    expect: Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Mapping[str, Any]]],
    **more: Any,
) -> None:
    """Raise `AssertionError` with the differences; `more` are `late`, `dead`, `ordered`.

    >>> rows = [{"n": 1}, {"n": 2}]
    >>> pipeline = Pipeline.read("memory", rows=[]).filter("n > 1").write("null", name="out")
    >>> assert_gives(pipeline, rows, [{"n": 2}])
    """
    case = read(pipeline, {"name": pipeline.name, "given": given, "expect": expect, **more})
    outcome = run_case(pipeline, case)
    if not outcome.passed:
        raise AssertionError("\n".join(outcome.differences))


def _compared(case: Case, ran: Ran) -> list[str]:
    found: list[str] = []
    for name, rows in case.expect.items():
        found += differences(f"output {name}", rows, ran.outputs[name], ordered=case.ordered)
    late = ran.unheard if case.late is None else ran.late
    found += differences("late rows", case.late or 0, late)
    return found + differences("dead letters", case.dead, ran.dead)
