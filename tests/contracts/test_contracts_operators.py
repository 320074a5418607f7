"""What every operator must hold; operators are found in the catalog, none is named here."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from contract_examples import ForAll, NewStore
from contract_faults import BAD, drops, fails, faulty, poisoned
from contract_runs import (
    DEAD,
    NAMES,
    Bench,
    Ran,
    differences,
    inputs_of,
    items_of,
    planned,
    run,
    step_of,
)
from contract_streams import HEIGHT, SEED, Script, cuts, deaths, script, scripts
from hypothesis import assume
from hypothesis import strategies as st

from pydatastream.catalog import catalog
from pydatastream.core.batch import CLOCK, Refused, Routed
from pydatastream.core.component import Component
from pydatastream.core.errors import ConfigError
from pydatastream.core.plan import Plan
from pydatastream.core.state import State
from pydatastream.core.times import FOREVER
from pydatastream.engines.local.chains import stages

MORE = Path(__file__).parents[1] / "operators"
"""An operator whose one example does not show all its ways has more in `more_<name>.yaml`."""

Item = dict[str, Any]


def label(component: type[Component]) -> str:
    return f"{component.kind}-{component.type_name()}"


def examples() -> list[Any]:
    """Every example of every operator: its own, the same with small numbers, and more of them."""
    found = []
    for operator in catalog().all("operator"):
        more = MORE / f"more_{operator.type_name()}.yaml"
        items = [step_of(operator.example), *_small(step_of(operator.example))]
        items += items_of(more.read_text()) if more.exists() else []
        for number, item in enumerate(items):
            end = f"-{number}" if number else ""
            found.append(pytest.param(item, id=f"{label(operator)}{end}"))
    return found


def _small(item: Item) -> list[Item]:
    """The example with its numbers of rows so small that short streams reach them."""
    ((word, options),) = item.items()
    if type(options) is int:
        return [{word: 3}] if options > 9 else []
    large = (
        [k for k, v in options.items() if type(v) is int and v > 9] if type(options) is dict else []
    )
    return [{word: {**options, **dict.fromkeys(large, 3)}}] if large else []


EXAMPLES = examples()
ITEMS = [one.values[0] for one in EXAMPLES]
every_example = pytest.mark.parametrize("item", EXAMPLES)


def sources_of(plan: Plan) -> tuple[str, ...]:
    return tuple(node.name for node in plan.sources)


def scripts_for(item: Item) -> st.SearchStrategy[Script]:
    return scripts(NAMES[: inputs_of(item)])


def same(one: Ran, other: Ran) -> None:
    found = list(differences(one, other))
    assert not found, "\n".join(found)


JOINING = next(number for number, item in enumerate(ITEMS) if inputs_of(item) > 1)
"""An example that makes one stream of two sources."""


@every_example
def test_cuts_and_crashes_change_nothing(item: Item, for_all: ForAll, new_store: NewStore) -> None:
    """Of the step by itself, and where it takes what comes from two sources."""
    plans = [planned([item]), fitting((JOINING, ITEMS.index(item)))]

    def check(
        plan: Plan, height: int, seed: int, before: frozenset[int], after: frozenset[int]
    ) -> None:
        made = script(sources_of(plan), height, seed)
        whole = run(plan, made)
        same(whole, run(plan, made.cut(before)))
        same(whole, run(plan, made.cut(before).joined(), after, new_store()))

    plan = st.sampled_from([one for one in plans if one])
    for_all(check, plan, HEIGHT, SEED, cuts(), deaths())


@every_example
def test_what_was_recorded_gives_the_same_again(item: Item, for_all: ForAll) -> None:
    plan = planned([item])

    def check(script: Script, before: frozenset[int]) -> None:
        first, second = (run(plan, script.cut(before)) for _ in range(2))
        for name, rows in first.frames.items():
            assert rows.equals(second[name]), name

    for_all(check, scripts_for(item), cuts(), share=0.2)


@every_example
def test_a_row_that_fails_is_a_dead_letter_alone(
    item: Item, for_all: ForAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others give what they would have given without it."""
    plan = planned([item])

    def check(script: Script, seed: int) -> None:
        script, bad = poisoned(script, seed)
        with faulty(monkeypatch, fails):
            failed = run(plan, script)
        with faulty(monkeypatch, drops):
            dropped = Bench(plan, script).run(check=False)
        blamed = failed[DEAD]["error"].str.contains(BAD)
        assert blamed.sum() == bad
        failed.frames[DEAD] = failed[DEAD].filter(~blamed)
        same(failed, dropped)

    for_all(check, scripts_for(item), SEED, share=0.3)


@every_example
def test_no_rows_and_few_come_out_as_planned_and_go_in_unchanged(item: Item) -> None:
    """Of a kernel by itself, with the clock and without; the engine looks only at rows."""
    plan = planned([item])
    (stage,) = stages(plan)
    step = stage.steps[-1]
    planned_as = {None: step.flow.schema, **{k: one.schema for k, one in step.sides.items()}}
    for port, flow in enumerate(plan.input_flows(step)):
        rows = script(("one",), 40, 1).frames["one"]["left"].select(flow.schema.names())
        clocked = rows.with_columns(pl.lit(0, pl.Int64).alias(CLOCK))
        for given in (rows[:0], clocked[:0], rows[:1], clocked, rows):
            kernel, before = stage.open({step.name: State()}), given.clone()
            out = [*swallowed(kernel.on_batch, given, port), *kernel.on_watermark(FOREVER)]
            assert given.equals(before)
            for one in out:
                if isinstance(one, Refused):
                    assert one.rows.schema == given.schema
                else:
                    name = one.port if isinstance(one, Routed) else None
                    found = one.rows if isinstance(one, Routed) else one
                    assert found.drop(CLOCK, strict=False).schema == planned_as[name]


def swallowed(on_batch: Any, rows: pl.DataFrame, port: int) -> list[Any]:
    """What the kernel yields before it fails, which on some rows it may."""
    found = []
    try:
        found.extend(on_batch(rows, port))
    except Exception:  # noqa: BLE001 - a function of the user's has failed
        assert rows.height > 0
    return found


def test_chains_of_steps_do_not_depend_on_cuts(for_all: ForAll) -> None:
    chains = st.lists(st.integers(0, len(ITEMS) - 1), min_size=2, max_size=3)

    def check(chain: list[int], seed: int, height: int, before: frozenset[int]) -> None:
        plan = fitting(tuple(chain))
        assume(plan is not None)
        assert plan is not None
        made = script(sources_of(plan), height, seed)
        same(run(plan, made), run(plan, made.cut(before)))

    for_all(check, chains, SEED, HEIGHT, cuts(), share=6)


@cache
def fitting(chain: tuple[int, ...]) -> Plan | None:
    """The plan of a chain of examples, if what each gives fits the next."""
    try:
        return planned([ITEMS[number] for number in chain])
    except ConfigError:
        return None
