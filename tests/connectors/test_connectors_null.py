import polars as pl

from pydatastream.connectors.null import NullSink, NullWriter
from pydatastream.core.sink import Write

ROWS = pl.DataFrame({"id": [1, 2, 3]})


def opened() -> NullWriter:
    writer = NullSink().open(Write(ROWS.schema, "p", "o"))
    assert isinstance(writer, NullWriter)
    return writer


def test_it_counts_the_rows_of_published_epochs_once() -> None:
    writer = opened()
    writer.begin(1)
    writer.write(ROWS)
    writer.publish(1)
    writer.publish(1)
    assert writer.rows == 3


def test_an_epoch_begun_again_is_not_counted_twice() -> None:
    writer = opened()
    writer.begin(1)
    writer.write(ROWS)
    writer.begin(1)
    writer.write(ROWS.head(2))
    writer.publish(1)
    assert writer.rows == 2
    assert writer.published() is None


def test_the_name_is_null() -> None:
    assert NullSink.type_name() == "null"
    assert not NullSink().options()
