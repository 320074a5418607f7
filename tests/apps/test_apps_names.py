"""The names that users were promised, under both names of the library."""

import importlib

import pytest

import pydatastream


@pytest.mark.parametrize("name", pydatastream.__all__)
def test_both_names_give_the_same(name):
    module = importlib.import_module("PyDataStream")
    assert getattr(module, name) == getattr(pydatastream, name)
    assert name in dir(module)


def test_the_promised_line():
    from PyDataStream import KafkaReader, RedisWriter

    assert KafkaReader.get_stream
    assert RedisWriter.publish_data


def test_a_name_that_is_none():
    with pytest.raises(AttributeError, match="nothing"):
        importlib.import_module("PyDataStream").nothing  # noqa: B018
