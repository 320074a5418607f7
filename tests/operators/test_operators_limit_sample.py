"""limit and sample: which rows pass does not depend on how batches are cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pydatastream.operators.limit import Limit
from pydatastream.operators.sample import Sample

SIZES = st.lists(st.integers(1, 40), max_size=8)


@pytest.mark.parametrize("rows", [0, 1, 30, 100, 101])
def test_limit_counts_over_the_whole_stream(bench, rows):
    stream = bench.rows(n=list(range(100)))
    out = bench.run(Limit(rows=rows), *bench.cut(stream, [29, 1, 30]))["main"]
    assert out["n"].to_list() == list(range(min(rows, 100)))


@settings(max_examples=40, deadline=None)
@given(SIZES, st.sampled_from([[], ["device_id"]]), st.integers(0, 3))
def test_sample_does_not_depend_on_cuts(bench, sizes, by, seed):
    stream = bench.rows(n=list(range(120)), device_id=[f"d{n % 30}" for n in range(120)])
    step = Sample(fraction=0.4, by=by, seed=seed)
    whole = bench.run(step, stream)["main"]
    assert bench.run(step, *bench.cut(stream, sizes))["main"].equals(whole)


@pytest.mark.parametrize("by", [[], ["n"], ["n", "device_id"]])
@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.5, 1.0])
def test_sample_keeps_about_the_fraction(bench, by, fraction):
    stream = bench.rows(n=list(range(20_000)))
    kept = bench.run(Sample(fraction=fraction, by=by), stream)["main"].height
    assert abs(kept - 20_000 * fraction) <= 4 * (20_000 * fraction * (1 - fraction)) ** 0.5


def test_sample_keeps_whole_keys_and_the_seed_chooses_them(bench):
    ids = [f"d{n % 50}" for n in range(500)]
    stream = bench.rows(device_id=ids)
    kept = [
        bench.run(Sample(fraction=0.5, by="device_id", seed=seed), stream)["main"]["device_id"]
        for seed in (0, 1)
    ]
    assert all(count == 10 for count in kept[0].value_counts()["count"])
    assert set(kept[0]) != set(kept[1])


def test_bad_options():
    with pytest.raises(ValidationError):
        Sample(fraction=1.5)
    with pytest.raises(ValidationError):
        Limit(rows=-1)
