"""What every connector does where a certificate is not there: it says so at once."""

import pytest

from pydatastream.connectors.kafka import KafkaSource
from pydatastream.connectors.mongodb import MongodbSource
from pydatastream.connectors.mqtt import MqttSource
from pydatastream.connectors.redis import RedisSource
from pydatastream.connectors.sql import SqlSource
from pydatastream.core.errors import ConfigError

TLS = {"tls": {"ca": "none.pem"}, "schema": {"id": "int"}}
NOBODY = "127.0.0.1:1"


@pytest.mark.parametrize(
    "source",
    [
        RedisSource(url=f"redis://{NOBODY}/0", stream="s", **TLS),
        KafkaSource(brokers=NOBODY, topic="t", **TLS),
        MqttSource(host="127.0.0.1", port=1, topic="t", qos=0, **TLS),
        MongodbSource(uri=f"mongodb://{NOBODY}", database="d", collection="c", **TLS),
        SqlSource(url=f"postgresql://{NOBODY}/d", table="t", **TLS),
    ],
    ids=lambda source: source.type_name(),
)
def test_a_certificate_that_is_not_there_is_told_at_once(source):
    with pytest.raises(ConfigError, match="tls: ca: there is no file none.pem"):
        source.partitions()
        source.check()
