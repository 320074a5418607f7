"""What the tests of all formats share: formats found in the catalog, and awkward rows."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
import yaml
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st

from pydatastream.catalog import catalog
from pydatastream.core.errors import RowError, SchemaError
from pydatastream.core.format import FileFormat, StreamFormat
from pydatastream.core.times import EVENT_TIME

WIDE = pl.Schema(
    {
        "text": pl.String(),
        "whole": pl.Int64(),
        "large": pl.UInt64(),
        "small": pl.Int8(),
        "real": pl.Float64(),
        "short": pl.Float32(),
        "flag": pl.Boolean(),
        "when": EVENT_TIME,
        "day": pl.Date(),
        "long": pl.Duration("us"),
        "raw": pl.Binary(),
        "exact": pl.Decimal(38, 9),
        "list": pl.List(pl.String()),
        "whens": pl.List(EVENT_TIME),
        "nested": pl.Struct({"x": pl.Int64(), "at": EVENT_TIME, "real": pl.Float64()}),
    }
)
AWKWARD = ["", " ", "null", "NaN", "é\U0001f600", "a,b", '"', 'x"y', "'", "\t", "007", "1e5"]
AWKWARD += ["\x00", "\ufeff", "\\", "\\ud800", "a\nb", "a\r\nb", "end\r", "{[{[", "\u2028", "\x7f"]
TIMES = [
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
]
LIMITS = [-(2**63), 2**63 - 1, 0, -1]

VALUES = {
    "text": st.sampled_from(AWKWARD) | st.text(max_size=12),
    "whole": st.sampled_from(LIMITS) | st.integers(-(2**63), 2**63 - 1),
    "large": st.integers(0, 2**64 - 1),
    "small": st.integers(-128, 127),
    "real": st.floats(),
    "short": st.floats(width=32),
    "flag": st.booleans(),
    "when": st.sampled_from(TIMES)
    | st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)),
    "day": st.dates(date(1, 1, 1), date(9999, 12, 31)),
    "long": st.timedeltas(timedelta(days=-99999), timedelta(days=99999)),
    "raw": st.binary(max_size=8),
    "exact": st.decimals(-(10**9), 10**9, places=9),
    "list": st.lists(st.none() | st.sampled_from(AWKWARD), max_size=3),
    "whens": st.lists(st.none() | st.sampled_from(TIMES), max_size=2),
    "nested": st.fixed_dictionaries(
        {
            "x": st.none() | st.integers(-5, 5),
            "at": st.none() | st.sampled_from(TIMES),
            "real": st.none() | st.floats(),
        }
    ),
}
BY_TYPE = {dtype: VALUES[name] for name, dtype in WIDE.items()} | {pl.UInt32(): st.integers(0, 9)}

QUICK = settings(
    max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


def formats(kind):
    """Each format as its example has it, and as it is without options."""
    for cls in catalog().all("format"):
        if issubclass(cls, kind):
            example = yaml.safe_load(cls.example)
            yield cls(**{name: value for name, value in example.items() if name != "type"})
            if not any(f.is_required() for f in cls.model_fields.values()):
                try:
                    yield cls()
                except ValueError:
                    continue


def label(form):
    return f"{form.type_name()}-{'example' if form.model_fields_set else 'plain'}"


STREAMS = [pytest.param(form, id=label(form)) for form in formats(StreamFormat)]
FILES = [pytest.param(form, id=label(form)) for form in formats(FileFormat)]


def writes(form, schema):
    try:
        form.encoder(schema)
        form.decoder(schema)
    except SchemaError:
        return False
    return True


def schema_of(form):
    """The widest schema that the format carries; None if it cannot write what it reads."""
    wide = pl.Schema({n: d for n, d in WIDE.items() if writes(form, pl.Schema({n: d}))})
    if wide and writes(form, wide):
        return wide
    own = form.infer(b"")
    return own if writes(form, own) else None


def unguarded(form):
    return form.model_copy(update={"guard": False}) if "guard" in type(form).model_fields else form


def through(form, rows):
    encoder = form.encoder(rows.schema)
    data = encoder.start() + encoder.encode(rows) + encoder.end()
    size = form.header_size(data)
    return form.decoder(rows.schema, data[:size]).decode(data[size:])


def finite(rows):
    """Rows without what not every format tells from null: NaN and infinities."""
    lines = [{name: _finite(value) for name, value in row.items()} for row in rows.to_dicts()]
    return pl.DataFrame(lines, schema=rows.schema)


def _finite(value):
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def keeps_null(form, schema):
    empty = pl.DataFrame({name: [None] for name in schema}, schema=schema)
    try:
        return through(form, empty).rows.equals(empty)
    except RowError:
        return False


def rows_of(schema, nulls):
    def values(dtype):
        return st.none() | BY_TYPE[dtype] if nulls else BY_TYPE[dtype]

    row = st.fixed_dictionaries({name: values(dtype) for name, dtype in schema.items()})
    return st.lists(row, min_size=1, max_size=6).map(lambda rows: pl.DataFrame(rows, schema=schema))


def written(form, data):
    schema = schema_of(form)
    return data.draw(rows_of(schema, keeps_null(form, schema)))


def encoded(form, rows):
    try:
        return form.encoder(rows.schema).encode(rows)
    except RowError:
        assume(False)


WRITERS = [one for one in STREAMS if schema_of(one.values[0])]
