"""Messages of rows, as the client takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from pydatastream.core.errors import RowError
from pydatastream.core.format import Encoder
from pydatastream.parts.kafka.sending import Message
from pydatastream.parts.messaging.messages import texts

AROUND = 100
"""Bytes that are counted for what surrounds key, value and headers."""


@dataclass(frozen=True, slots=True)
class KafkaMessages:
    """Makes messages of rows: the columns of the body are encoded, others stand beside it."""

    topic: str
    most: int
    """The most bytes of a message that the topic takes."""
    body: list[str]
    encoder: Encoder
    key: str | None
    headers: Mapping[str, str]
    deleted: str | None

    def of(self, rows: pl.DataFrame) -> Iterator[Message]:
        """A message for each row, when it is asked for; `RowError` for those that are too long."""
        body = rows if rows.columns == self.body else rows.select(self.body)
        values: list[bytes | None] = [*self.encoder.encode_messages(body)]
        if self.deleted:
            gone = rows[self.deleted].fill_null(value=False)
            values = [None if one else value for one, value in zip(gone, values, strict=True)]
        self._refuse_long(values)
        return self._whole(values, rows)

    def _whole(self, values: list[bytes | None], rows: pl.DataFrame) -> Iterator[Message]:
        """Each is made when it is sent: all of a batch at once would need ten times its size."""
        messages: Iterator[Message] = ({"value": value} for value in values)
        if self.key:
            keys = texts(rows[self.key])
            messages = ({"value": v, "key": k} for v, k in zip(values, keys, strict=True))
        if self.headers:
            named = ([(name, one) for one in texts(rows[of])] for name, of in self.headers.items())
            headers = zip(*named, strict=True)
            messages = (
                {**one, "headers": [*some]} for one, some in zip(messages, headers, strict=True)
            )
        return messages

    def _refuse_long(self, values: list[bytes | None]) -> None:
        most = self.most - AROUND
        long = [n for n, one in enumerate(values) if len(one or b"") > most]
        if long:
            size = len(values[long[0]] or b"")
            what = f"a message of {size} bytes, where topic {self.topic} takes {self.most}"
            raise RowError(what, rows=long)
