"""Variables, secret files, `.env`, and the overrides that users were promised."""

import pytest

from pydatastream.config.environment import Environment, variable
from pydatastream.core.errors import ConfigError


@pytest.fixture
def environment(tmp_path):
    (tmp_path / ".env").write_text(
        "# comment\nexport A=from file\nB='quoted # kept'  # gone\nC=plain # gone\nbad line\nD=\n"
    )
    return Environment.beside(tmp_path, {"A": "from process", "HOST": "h"})


def test_the_process_wins_over_the_file(environment):
    assert environment.get("A").value == "from process"
    assert environment.get("A").origin == "environment A"
    assert environment.get("B").value == "quoted # kept"
    assert environment.get("C").value == "plain"
    assert environment.get("C").origin == ".env C"
    assert environment.get("D").value == ""
    assert environment.get("NONE") is None


def test_fills_text(environment):
    assert environment.fill("tcp://${HOST}:${PORT:5555}/$${X}").value == "tcp://h:5555/${X}"
    assert environment.fill("${NONE:}").value == ""
    assert environment.fill("a: $b") is None


def test_a_secret_file_is_read_beside_the_pipeline(environment, tmp_path):
    (tmp_path / "secret").write_text("s3cret\n")
    assert environment.fill("${file:secret}").value == "s3cret"
    assert environment.fill(f"${{file:{tmp_path}/secret}}").origin.startswith("file /")
    with pytest.raises(ConfigError, match="file missing cannot be read"):
        environment.fill("${file:missing}")


@pytest.mark.parametrize("text", ["${", "${1X}", "${A", "${}", "${A B}"])
def test_a_variable_written_wrong_is_refused(environment, text):
    with pytest.raises(ConfigError, match="not written as"):
        environment.fill(text)


def test_an_unset_variable_is_named_and_its_neighbours_are_not_shown(environment):
    with pytest.raises(ConfigError) as caught:
        environment.fill("${A}:${MISSING}")
    assert "MISSING" in str(caught.value)
    assert "from process" not in str(caught.value)


def test_overrides_are_named_after_node_and_option():
    assert variable("filter-low", "max_skew") == "FILTER_LOW_MAX_SKEW"
