"""Every type in every format: carried as it is, or refused before a row is written.

What else a format must hold is in tests/formats, found in the catalog as well.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import polars as pl
import pytest
from contract_runs import options_of
from contract_truth import awkward
from polars.testing import assert_frame_equal

from pydatastream.catalog import catalog
from pydatastream.core.errors import RowError, SchemaError
from pydatastream.core.format import FileFormat, Format, StreamFormat

ROWS = awkward(lambda dtype: True).drop("id")


CASES = [
    pytest.param(form, name, id=f"format-{form.type_name()}-{name}")
    for form in catalog().all("format")
    for name in ROWS.columns
]


@pytest.mark.parametrize(("form", "name"), CASES)
def test_a_type_is_carried_or_refused(form: type[Format], name: str, tmp_path: Path) -> None:
    guard = {"guard": False} if "guard" in form.model_fields else {}
    made = form.model_validate({**options_of(form.example), **guard})
    rows = ROWS.select(name)
    try:
        found = through(made, rows, tmp_path / "file")
    except (SchemaError, RowError) as error:
        assert error.what  # noqa: PT017
        return
    assert_frame_equal(finite(found), finite(rows))


def through(form: Format, rows: pl.DataFrame, file: Path) -> pl.DataFrame:
    """The rows written and read again."""
    if isinstance(form, FileFormat):
        target = BytesIO()
        encoder = form.write_file(target, rows.schema)
        encoder.write(rows)
        encoder.close()
        file.write_bytes(target.getvalue())
        return pl.concat(form.groups(file, rows.schema, 0))
    assert isinstance(form, StreamFormat)
    writer = form.encoder(rows.schema)
    data = writer.start() + writer.encode(rows) + writer.end()
    size = form.header_size(data)
    decoded = form.decoder(rows.schema, data[:size]).decode(data[size:])
    assert decoded.dead.is_empty()
    return decoded.rows


def finite(rows: pl.DataFrame) -> pl.DataFrame:
    """Without what not every format tells from null: NaN and infinities."""
    (name,) = rows.columns
    value = pl.col(name)
    if rows.schema[name].is_float():
        value = pl.when(value.is_finite()).then(value)
    return rows.select(value)
