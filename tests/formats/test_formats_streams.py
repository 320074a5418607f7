"""What every format of records must hold; formats are found in the catalog, none is named here."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest
from found_formats import (
    QUICK,
    STREAMS,
    WIDE,
    WRITERS,
    encoded,
    finite,
    schema_of,
    through,
    unguarded,
    writes,
    written,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pydatastream.catalog import catalog
from pydatastream.core.errors import PdsError, SchemaError
from pydatastream.core.format import StreamFormat
from pydatastream.parts.decoding.sifting import KEPT


def test_every_kind_writes_what_it_reads_or_says_that_it_cannot():
    kinds = {cls for cls in catalog().all("format") if issubclass(cls, StreamFormat)}
    for cls in kinds - {type(one.values[0]) for one in WRITERS}:
        with pytest.raises(SchemaError, match="only read"):
            cls().encoder(cls().infer(b""))


@pytest.mark.parametrize("form", WRITERS)
@QUICK
@given(data=st.data())
def test_what_is_written_is_read_back(form, data):
    form = unguarded(form)
    rows = written(form, data)
    records = encoded(form, rows)
    whole = form.decoder(rows.schema).cut(records) == 0  # no record ends in it: it is one, or none
    assume(not whole or (records and rows.height == 1))
    decoded = through(form, rows)
    assert decoded.dead.is_empty()
    assert_frame_equal(finite(decoded.rows), finite(rows))


@pytest.mark.parametrize("form", WRITERS)
@QUICK
@given(data=st.data())
def test_messages_are_read_back_one_by_one(form, data):
    form = unguarded(form)
    rows = written(form, data)
    encoded(form, rows)
    encoder, decoder = form.encoder(rows.schema), form.decoder(rows.schema)
    messages = encoder.encode_messages(rows)
    assert len(messages) == rows.height
    assume(all(messages))
    decoded = decoder.decode_messages(messages)
    assert decoded.dead.is_empty()
    assert_frame_equal(finite(decoded.rows), finite(rows))


@pytest.mark.parametrize("form", STREAMS)
@QUICK
@given(messages=st.lists(st.binary(max_size=20), max_size=5))
def test_every_message_is_a_row_or_a_dead_letter(form, messages):
    decoded = form.decoder(form_schema(form)).decode_messages(messages)
    assert decoded.rows.height + decoded.dead.height == len(messages)
    assert decoded.rows.schema == form_schema(form)
    assert decoded.dead.height >= messages.count(b"") or form_schema(form) == {"payload": pl.Binary}


def form_schema(form):
    return schema_of(form) or form.infer(b"")


def streamed(form, schema, header, data, cuts):
    """As a reader does it: whole records as they come, the rest at the end."""
    decoder, buffer, parts = form.decoder(schema, header), b"", []
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        buffer += data[start:end]
        size = decoder.cut(buffer)
        parts.append(decoder.decode(buffer[:size]))
        buffer = buffer[size:]
    parts.append(decoder.decode(buffer))
    return pl.concat([one.rows for one in parts]), pl.concat([one.dead for one in parts])


@pytest.mark.parametrize("form", WRITERS)
@settings(QUICK, max_examples=40)
@given(data=st.data())
def test_what_is_read_does_not_depend_on_cuts(form, data):
    """Also of damaged streams: bytes are changed, put in and taken out before."""
    rows = written(unguarded(form), data)
    encoder = form.encoder(rows.schema)
    broken = bytearray(encoded(unguarded(form), rows))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(broken)))
        size = data.draw(st.integers(0, 3))
        noise = data.draw(
            st.sampled_from([b'"', b"\n", b",", b"\xff", b"\\ud800", b"}", b"NaN", b""])
        )
        broken[at : at + size] = noise
    cuts = sorted(data.draw(st.lists(st.integers(0, len(broken)), max_size=6)))
    header = encoder.start()
    whole = form.decoder(rows.schema, header).decode(bytes(broken))
    found, dead = streamed(form, rows.schema, header, bytes(broken), cuts)
    assert_frame_equal(found, whole.rows)
    assert sorted(dead.rows()) == sorted(whole.dead.rows())


@pytest.mark.parametrize("form", STREAMS)
@QUICK
@given(data=st.data(), noise=st.binary(max_size=200))
def test_noise_is_never_an_exception(form, data, noise):
    decoder = form.decoder(form_schema(form))
    size = decoder.cut(noise)
    assert 0 <= size <= len(noise)
    decoded = decoder.decode(noise)
    assert decoded.rows.schema == form_schema(form)
    assert decoded.dead.null_count().row(0) == (0, 0, 0)
    try:
        form.infer(noise)
    except PdsError as error:
        assert str(error)  # noqa: PT017


@pytest.mark.parametrize("form", STREAMS)
def test_no_bytes_are_no_rows(form):
    decoded = form.decoder(form_schema(form)).decode(b"")
    assert (decoded.rows.height, decoded.dead.height) == (0, 0)
    assert form.decoder(form_schema(form)).decode_messages([]).rows.height == 0


@pytest.mark.parametrize("form", STREAMS)
def test_a_mebibyte_of_text_is_carried(form):
    schema = schema_of(form)
    names = [name for name, dtype in (schema or {}).items() if dtype == pl.String]
    if not names:
        assert schema is None or pl.String not in schema.dtypes()
        return
    rows = pl.DataFrame({names[0]: ["é" * (1 << 19), "b"]}).select(
        pl.col(names[0]) if name == names[0] else pl.lit(None).cast(dtype).alias(name)
        for name, dtype in schema.items()
    )
    decoded = through(form, rows)
    assert decoded.rows[names[0]].to_list() == rows[names[0]].to_list()


@pytest.mark.parametrize("form", STREAMS)
def test_a_dead_letter_is_bounded(form):
    decoder = form.decoder(form_schema(form))
    dead = decoder.decode_messages([b"\xff" + b"x" * (3 * KEPT)]).dead
    if dead.height:
        assert len(dead["payload"][0]) <= KEPT * 4 / 3 + 4
        assert "sha256" in dead["error"][0]
    else:
        assert form_schema(form) == {"payload": pl.Binary}


@pytest.mark.parametrize("form", STREAMS)
def test_exact_decimals_survive(form):
    exact = [Decimal("12345678901234567890.123456789")]
    rows = pl.DataFrame({"d": exact}, schema={"d": WIDE["exact"]})
    if writes(form, rows.schema):
        assert_frame_equal(through(form, rows).rows, rows)
    else:
        assert rows.schema != form_schema(form)
