"""Settings of a program: the file under .env under the environment, errors with their place."""

import pytest

from pydatastream import KafkaReader, RedisWriter, load_config
from pydatastream.core.errors import ConfigError

FILE = """\
broker_list: [a:1, b:2]
topic: readings
redis:
  url: ${REDIS_HOME:redis://localhost:6379/0}
  streem: out
"""


@pytest.fixture
def config(folder, monkeypatch):
    for name in ("TOPIC", "BROKER_LIST", "REDIS_URL", "REDIS_HOME", "GROUP"):
        monkeypatch.delenv(name, raising=False)
    (folder / "config.yaml").write_text(FILE)
    return folder / "config.yaml"


def test_a_file_and_what_is_filled_in(config):
    found = load_config("config.yaml")
    assert found["broker_list"] == ["a:1", "b:2"]
    assert found["redis"]["url"] == "redis://localhost:6379/0"
    assert found.get("group", "none") == "none"


def test_dotenv_overrides_the_file_and_the_environment_both(config, monkeypatch):
    (config.parent / ".env").write_text("TOPIC=of-env\nREDIS_URL=redis://env\nGROUP=g\n")
    monkeypatch.setenv("TOPIC", "of-process")
    found = load_config(config)
    assert (found["topic"], found["redis"]["url"]) == ("of-process", "redis://env")
    assert found["group"] == "g"


def test_a_missing_key_says_which_and_where(config):
    with pytest.raises(ConfigError, match=r"config.yaml:1:1: the key 'group' is missing\n.*GROUP"):
        load_config(config)["group"]
    with pytest.raises(ConfigError, match=r"config.yaml:4:3: the key 'redis.db' is missing\n.*_DB"):
        load_config(config)["redis"]["db"]


def test_a_wrong_option_says_where_it_stands(config):
    with pytest.raises(ConfigError, match=r"config.yaml:5:3: redis has no option 'streem'"):
        RedisWriter(load_config(config)["redis"])
    config.write_text("kafka: {format: json, gruop: g}\nredis: {batch_size: many}\ntopic: t\n")
    found = load_config(config)
    with pytest.raises(ConfigError, match=r"config.yaml:1:23: kafka has no option 'gruop'"):
        KafkaReader("localhost:1", "t", found.section("kafka"))
    with pytest.raises(ConfigError, match=r"config.yaml:2:9: redis: batch_size must be a whole"):
        RedisWriter(found["redis"])
    assert found.section("none") == {}
    with pytest.raises(ConfigError, match=r"config.yaml:3:1: topic must be a mapping, found 't'"):
        found.section("topic")
    with pytest.raises(ConfigError, match="found 17"):
        RedisWriter(17)
    with pytest.raises(ConfigError, match="brokers must be text, found 17"):
        KafkaReader(17, "t")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("topic: [a\n", "config.yaml:2:1: not readable as YAML"),
        ("topic: ${NO_SUCH}\n", "config.yaml:1:8: the variable NO_SUCH is not set"),
        ("- a\n", "must be a mapping"),
        (None, "config.yaml: cannot be read: No such file"),
    ],
)
def test_a_malformed_file_says_where(config, text, said):
    config.unlink() if text is None else config.write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_config(config)
