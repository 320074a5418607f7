"""Arrays and frames in safetensors: as the library of that name reads and writes them."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pydatastream.core.errors import ConfigError
from pydatastream.parts.tensors.frames import frame_of, schema_of, schema_text, tensors_of
from pydatastream.parts.tensors.safetensors import TYPES, packed, unpacked

theirs = pytest.importorskip("safetensors.numpy", reason="it is compared with")

TENSORS = st.dictionaries(
    st.text(min_size=1, max_size=8).filter(lambda name: name != "__metadata__"),
    st.sampled_from(list(TYPES.values())).flatmap(
        lambda code: arrays.arrays(np.dtype(code), arrays.array_shapes(min_dims=0, min_side=0))
    ),
    max_size=4,
)


def same(one, other):
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert (array.dtype, array.shape) == (other[name].dtype, other[name].shape)
        assert array.tobytes() == other[name].tobytes()


@given(TENSORS)
def test_what_we_write_the_library_reads_and_the_other_way_round(tensors):
    same(theirs.load(packed(tensors)), tensors)
    same(unpacked(theirs.save(tensors)).tensors, tensors)
    assert unpacked(packed(tensors, {"a": "é"})).texts == {"a": "é"}
    assert packed(tensors) == packed(dict(reversed(tensors.items())))


@given(st.data())
def test_a_damaged_file_is_refused_or_holds_arrays(data):
    content = bytearray(packed({"a": np.arange(6.0), "b": np.ones((2, 3), np.int8)}, {"t": "x"}))
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    for broken in (bytes(content), bytes(content[:cut])):
        with contextlib.suppress(ConfigError):
            assert isinstance(unpacked(broken).tensors, dict)


@pytest.mark.parametrize(
    "place", [[0, 999], [8, 16], [0, 4], [-8, 0]], ids=["beyond", "gap", "short", "before"]
)
def test_arrays_must_lie_where_they_say(place):
    good = packed({"a": np.zeros(1)})
    bad = good.replace(b"[0,8]", str(place).replace(" ", "").encode())
    header = bad[8 : bad.index(b"}}") + 2]
    with pytest.raises(ConfigError):
        unpacked(len(header).to_bytes(8, "little") + header + bytes(8))


def test_frames_come_back_as_they_were():
    rows = pl.DataFrame(
        {
            "key": ["a", None, "ü"],
            "none": pl.Series([None, None, None], dtype=pl.Int32),
            "at": [datetime(2024, 1, 1, tzinfo=UTC), None, datetime(2025, 1, 1, tzinfo=UTC)],
            "flag": [True, None, False],
            "raw": [b"\x00", b"", None],
            "matrix": pl.Series(
                [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], dtype=pl.Array(pl.Float64, 2)
            ),
            "some": pl.Series([[1.0, 2.0], None, [5.0, 6.0]], dtype=pl.Array(pl.Float64, 2)),
            "lists": [[1, 2], [], None],
            "n": pl.Series([1, 2, 3], dtype=pl.UInt8),
        }
    )
    for frame in (rows, rows[:0], rows[:1]):
        tensors = unpacked(packed(tensors_of(frame))).tensors
        found = frame_of(schema_of(schema_text(frame.schema)), tensors)
        assert found.schema == frame.schema
        assert found.equals(frame)
