"""Run the tests that stand in a pipeline file under `tests:`.

A test gives rows to sources, with `{watermark: TIME}` between them where time is to go on, and
says which rows it expects in which output, in any order unless `ordered: true`; rows that come
late or become dead letters must be expected too, by `late:` and `dead:`, as rows or as a number.
Nothing is connected. Exit code 0: all passed; 1: one failed; 2: refused.
"""

from __future__ import annotations

import typer

from pydatastream.cli.arguments import File, NoPython
from pydatastream.cli.endings import FAILED
from pydatastream.pipeline import Pipeline
from pydatastream.testing import Outcome, run_tests

EXAMPLE = """tests:
  - name: cold readings are left out
    given: [{device_id: attic, temperature: 21.5}, {device_id: cellar, temperature: 8}]
    expect: [{device_id: attic}]"""


def command(file: File, no_python: NoPython = False) -> None:
    """Print what passed and what did not, with the differences."""
    outcomes = run_tests(Pipeline.load(file, python=not no_python), python=not no_python)
    for outcome in outcomes:
        _say(outcome)
    failed = sum(not one.passed for one in outcomes)
    if not outcomes:
        print(f"{file} has no tests; one looks like this:\n{EXAMPLE}")
    elif failed:
        print(f"{failed} of {len(outcomes)} tests failed")
        raise typer.Exit(FAILED)
    else:
        print("1 test passed" if len(outcomes) == 1 else f"{len(outcomes)} tests passed")


def _say(outcome: Outcome) -> None:
    print(f"{'pass' if outcome.passed else 'FAIL'}  {outcome.name}")
    for line in outcome.differences:
        print(f"      {line}")
