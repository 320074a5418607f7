"""What every format of whole files must hold; formats are found in the catalog."""

from __future__ import annotations

from io import BytesIO

import polars as pl
import pytest
from found_formats import FILES, QUICK, WIDE, rows_of
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pydatastream.core.errors import ConfigError, RowError, SchemaError


def file_of(form, rows, portions=1):
    target = BytesIO()
    encoder = form.write_file(target, rows.schema)
    step = max(1, -(-rows.height // portions))
    for start in range(0, rows.height, step):
        encoder.write(rows[start : start + step])
    encoder.close()
    return target.getvalue()


@pytest.mark.parametrize("form", FILES)
@QUICK
@given(data=st.data())
def test_a_file_keeps_every_value(form, data, tmp_path_factory):
    rows = data.draw(rows_of(WIDE, nulls=True))
    path = tmp_path_factory.mktemp("file") / f"x.{form.extension}"
    path.write_bytes(file_of(form, rows, 2))
    assert form.infer_file(path) == WIDE
    assert_frame_equal(pl.concat(form.groups(path, WIDE, 0)), rows)


def small_groups(form):
    rows = next(name for name in type(form).model_fields if name.endswith("_rows"))
    return form.model_copy(update={rows: 100})


@pytest.mark.parametrize("form", FILES)
def test_groups_can_be_read_from_any_on(form, tmp_path):
    rows = pl.DataFrame({"n": range(1000), "s": [str(n) for n in range(1000)]})
    path = tmp_path / "x"
    path.write_bytes(file_of(small_groups(form), rows, 3))
    every = list(form.groups(path, rows.schema, 0))
    assert [one.height for one in every] == [100] * 10
    assert_frame_equal(pl.concat(form.groups(path, rows.schema, 7)), rows[700:])
    assert list(form.groups(path, rows.schema, 10)) == []


@pytest.mark.parametrize("form", FILES)
def test_a_file_without_rows_has_a_schema(form, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(file_of(form, pl.DataFrame(schema=WIDE)))
    assert form.infer_file(path) == WIDE
    assert sum(one.height for one in form.groups(path, WIDE, 0)) == 0


@pytest.mark.parametrize("form", FILES)
def test_rows_beyond_memory_go_to_disk_and_keep_their_order(form, tmp_path, monkeypatch):
    monkeypatch.setattr("pydatastream.parts.files.gathering.IN_MEMORY", 2000)
    rows = pl.DataFrame({"n": range(5000)})
    path = tmp_path / "x"
    path.write_bytes(file_of(form, rows, 17))
    assert_frame_equal(pl.concat(form.groups(path, rows.schema, 0)), rows)


@pytest.mark.parametrize("form", FILES)
def test_a_group_that_unpacks_to_too_much_is_refused_before(form, tmp_path):
    bomb = pl.DataFrame({"s": [f"{n:01000}" for n in range(20_000)]})
    path = tmp_path / "x"
    path.write_bytes(file_of(form, bomb))
    cap = next(name for name in type(form).model_fields if name.endswith("_bytes"))
    assert path.stat().st_size < 2_000_000
    with pytest.raises(RowError, match="unpacks to"):
        list(form.model_copy(update={cap: 4096}).groups(path, bomb.schema, 0))


@pytest.mark.parametrize("form", FILES)
def test_a_missing_column_is_named_with_the_nearest(form, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(file_of(form, pl.DataFrame({"temperature": [1.0]})))
    with pytest.raises(SchemaError, match="did you mean 'temperature'"):
        list(form.groups(path, pl.Schema({"temprature": pl.Float64()}), 0))


@pytest.mark.parametrize("form", FILES)
@pytest.mark.parametrize("size", [0, 3, 100, -1, -9, -200])
def test_a_truncated_file_is_refused(form, size, tmp_path):
    rows = pl.DataFrame({"n": range(1000)})
    path = tmp_path / "x"
    path.write_bytes(file_of(form, rows)[:size])
    with pytest.raises(ConfigError, match="cannot be read"):
        form.infer_file(path)
    with pytest.raises(RowError, match="cannot be read"):
        list(form.groups(path, rows.schema, 0))


@pytest.mark.parametrize("form", FILES)
@settings(QUICK, max_examples=50)
@given(data=st.data())
def test_flipped_bits_are_never_a_crash(form, data, tmp_path_factory):
    rows = pl.DataFrame({"n": range(500), "s": [f"é{n}" for n in range(500)]})
    broken = bytearray(file_of(small_groups(form), rows))
    for _ in range(data.draw(st.integers(1, 3))):
        broken[data.draw(st.integers(0, len(broken) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path_factory.mktemp("bits") / "x"
    path.write_bytes(broken)
    try:
        assert all(one.schema == rows.schema for one in form.groups(path, rows.schema, 0))
        assert form.infer_file(path)
    except (RowError, ConfigError) as error:
        assert error.what  # noqa: PT017
