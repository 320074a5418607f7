"""What every detector and smoother must hold; they are found in the catalog, none is named."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import polars.selectors as cs
import pytest

from pydatastream.catalog import catalog
from pydatastream.config import yaml_nodes
from pydatastream.core.operator import EventTime, Flow
from pydatastream.core.state import State
from pydatastream.core.times import EVENT_TIME
from pydatastream.parts.scoring.detector import Adding, Detector

SCHEMA = pl.Schema(
    {
        "device_id": pl.String,
        "ts": EVENT_TIME,
        "temperature": pl.Float64,
        "humidity": pl.Float64,
        "n": pl.Int64,
    }
)
FLOW = Flow(SCHEMA, EventTime("ts"))
START = datetime(2024, 1, 1, tzinfo=UTC)
NOT_NUMBERS = [None, np.nan, np.inf, -np.inf, 1e308, -1e308]

ADDING = [one for one in catalog().all("operator") if issubclass(one, Adding)]
DETECTORS = [one for one in ADDING if issubclass(one, Detector)]
every_step = pytest.mark.parametrize("detector", ADDING, ids=lambda one: one.type_name())
every_detector = pytest.mark.parametrize("detector", DETECTORS, ids=lambda one: one.type_name())


def step(detector, **more):
    """The detector's example, with other options."""
    ((_, given),) = yaml_nodes.read(detector.example, "example").plain()[0].items()
    options = given if isinstance(given, dict) else {detector.primary: given}
    return detector.model_validate({**options, **more})


def rows(height=600, keys=3, seed=1, every=61):
    chance = np.random.default_rng(seed)
    at = np.arange(height)
    return pl.DataFrame(
        {
            "device_id": [f"d{one}" for one in chance.integers(0, keys, height)],
            "ts": [START + timedelta(seconds=int(one) * every) for one in at],
            "temperature": chance.normal(20, 2, height) + 5 * np.sin(at / 20),
            "humidity": chance.normal(50, 5, height),
            "n": chance.integers(0, 100, height),
        },
        schema=SCHEMA,
    )


def scored(step, *batches, state=None):
    """All that comes out, with a restart from the snapshot before each batch."""
    state = state or State()
    out = [step.flow(FLOW).schema.to_frame()]
    for batch in batches:
        state = State(state.snapshot())
        out += [
            one for one in step.open(state, FLOW).on_batch(batch) if isinstance(one, pl.DataFrame)
        ]
    return pl.concat(out), state


def cut(rows, seed):
    chance, at = np.random.default_rng(seed), 0
    while at < rows.height:
        size = int(chance.choice([1, 2, 7, 64, 250]))
        yield rows[at : at + size]
        at += size


@every_step
@pytest.mark.parametrize("by", [[], ["device_id"]], ids=["global", "by key"])
def test_cuts_change_no_bit(detector, by):
    one, given = step(detector, by=by), rows()
    whole, _ = scored(one, given)
    for name in one.added():
        assert whole[name].is_not_null().any(), "the example gives nothing: the test is too short"
    for seed in range(3):
        assert whole.equals(scored(one, *cut(given, seed))[0])


@every_detector
def test_every_row_carries_the_version(detector):
    found, _ = scored(step(detector), rows(40))
    assert found["version"].null_count() == 0
    named, _ = scored(step(detector, version="v7"), rows(40))
    assert set(named["version"]) == {"v7"}


@every_step
def test_what_is_no_number_gets_nothing_and_poisons_nothing(detector):
    one, clean = step(detector), rows()
    marked = clean.with_row_index("at").filter(pl.col("at") % 40 == 9)
    bad = [
        marked.with_columns(
            pl.lit(value, pl.Float64).alias(name) for name in ("temperature", "humidity")
        )
        for value in NOT_NUMBERS
    ]
    with_bad = pl.concat([clean.with_row_index("at"), *bad]).sort("at", maintain_order=True)
    is_bad = ~(pl.col("temperature").abs() < 1e100).fill_null(False)
    found, _ = scored(one, with_bad.drop("at"))
    for name in one.columns_added():
        assert found.filter(is_bad)[name].is_null().all()
    assert found.filter(~is_bad).equals(scored(one, clean)[0])


@every_detector
def test_frozen_it_scores_and_learns_nothing(detector):
    given = rows()
    _, learnt = scored(step(detector), given[:400])
    before = {name: learnt.frame(name) for name in learnt.names()}
    frozen = step(detector, learn=False)
    whole, after = scored(frozen, given[400:], state=learnt)
    assert {name: after.frame(name) for name in after.names()}.keys() == before.keys()
    assert all(after.frame(name).equals(rows) for name, rows in before.items())
    assert whole.equals(scored(frozen, *cut(given[400:], 3), state=learnt)[0])


@every_step
def test_odd_streams_kill_nothing(detector):
    usual = rows()
    constant = usual.with_columns(pl.lit(5.0).alias("temperature"), pl.lit(5.0).alias("humidity"))
    backwards = usual.with_columns(pl.col("ts").reverse())
    many = usual.with_columns(pl.int_range(pl.len()).cast(pl.String).alias("device_id"))
    none = usual.with_columns(pl.lit(None, pl.Float64).alias("temperature"))
    huge = usual.with_columns(pl.col("temperature") * 1e98)
    for given in (constant, backwards, many, none, huge, usual[:0], usual[:1]):
        found, _ = scored(step(detector), given)
        assert found.height == given.height
        added = found.select(step(detector).added().keys()).select(cs.float())
        assert not any(column.is_nan().any() for column in added)


@every_step
def test_its_state_does_not_grow_with_the_stream(detector):
    short, long = (
        scored(step(detector), *rows(height).iter_slices(311))[1] for height in (1500, 3000)
    )
    assert long.nbytes() <= 1.02 * short.nbytes()


def held(state):
    """The keys that a state remembers anything of."""
    frames = [one for name in state.names() for one in state.frames(name)]
    return {key for one in frames for key in one["device_id"]}


@every_step
def test_of_too_many_keys_the_same_are_forgotten_wherever_batches_are_cut(detector):
    given, few = rows(200, keys=60), step(detector, by=["device_id"], max_keys=24)
    whole, state = scored(few, given)
    pieces, cut_up = scored(few, *given.iter_slices(97))
    assert whole.equals(pieces)
    assert held(state) == held(cut_up)
    assert len(held(state)) <= 24 + 12


@every_step
def test_a_flood_of_keys_that_come_once_forgets_none_that_comes_again(detector):
    few, place = step(detector, by=["device_id"], max_keys=24), pl.int_range(pl.len())
    given = rows(60).with_columns(pl.format("d{}", place % 3).alias("device_id"), at=place * 4)
    flood = rows(240).with_columns(pl.format("once-{}", place).alias("device_id"), at=place)
    alone, _ = scored(few, given.drop("at"))
    found, state = scored(few, pl.concat([given, flood]).sort("at", maintain_order=True).drop("at"))
    assert found.filter(pl.col("device_id").str.starts_with("d")).equals(alone)
    assert {"d0", "d1", "d2"} <= held(state)
    assert len(held(state)) <= 24 + 12
