"""What connectors that carry messages share: each payload is a row, in a format of records."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from pydantic import SerializeAsAny

from pydatastream.core.component import Component
from pydatastream.core.errors import ConfigError, SchemaError
from pydatastream.core.format import Format, StreamFormat
from pydatastream.core.sink import Sink
from pydatastream.core.source import Source
from pydatastream.parts.decoding.wire import written
from pydatastream.parts.messaging.inbox import Inbox


class Carrier(Component):
    """Its messages are written in a format of records."""

    format: SerializeAsAny[Format] | None = None
    """How a message is written; by default json."""

    def format_hint(self) -> str | None:
        """The name of the format where none is given; the plan fills it in."""
        return "json"

    def form(self) -> StreamFormat:
        """The format; `ConfigError` for one of whole files."""
        if isinstance(self.format, StreamFormat):
            return self.format
        found = self.format.type_name() if self.format else "none"
        raise ConfigError(f"messages need a format of records, found {found}", hint="format: json")


class MessageSource(Carrier, Source):
    """A source of messages: it has a sample, and says what comes beside the payload."""

    def beside(self) -> pl.Schema:
        """The columns that are not in the payload: a key, a header, a time of arrival."""
        return pl.Schema()

    def sample(self) -> Sequence[bytes]:
        """A few payloads to look at (I/O)."""
        raise SchemaError(f"{self.type_name()} needs a `schema:`: it has no sample to look at")

    def declared(self) -> pl.Schema | None:
        """The declared columns, and those that come beside the payload."""
        known = super().declared()
        return None if known is None else pl.Schema({**self.beside(), **known})

    def infer(self) -> pl.Schema:
        """The schema of the sample, and what comes beside it."""
        if not (sample := self.sample()):
            raise SchemaError("no message to infer a schema from", hint="declare `schema:`")
        return self.schema_of(sample)

    def schema_of(self, sample: Sequence[bytes]) -> pl.Schema:
        """The schema of some payloads, and what comes beside them."""
        form = self.form()
        end = form.separator
        joined = (end or b"").join(one.replace(end, b" ") if end else one for one in sample)
        return pl.Schema({**form.infer(joined), **self.beside()})

    def inbox(self, schema: pl.Schema) -> Inbox:
        """What makes rows with these columns of messages."""
        return Inbox(self.form(), schema, self.beside())


class MessageSink(Carrier, Sink):
    """A sink of messages: each row is one."""

    def accepts(self, schema: pl.Schema) -> None:
        """Raise `SchemaError` if the format cannot write a column."""
        if self.format is not None:
            self.form().encoder(schema)


def texts(values: pl.Series) -> list[str | bytes | None]:
    """Values as keys or headers of messages: text as in JSON without quotes, bytes as they are.

    >>> texts(pl.Series([1, None]))
    ['1', None]
    """
    if values.dtype == pl.Binary:
        return values.to_list()
    column = written(pl.col(values.name), values.dtype)
    return values.to_frame().select(column.cast(pl.String)).to_series().to_list()
