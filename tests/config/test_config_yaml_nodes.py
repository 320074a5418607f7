"""Safe YAML: what is refused, what scalars mean, and where everything stands."""

import contextlib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pydatastream.config.yaml_nodes import MAX_BYTES, MAX_DEPTH, read, scalar
from pydatastream.core.errors import ConfigError

REFUSED = [
    ("a: !!python/object:os.system x", "p.yaml:1:4", "tag"),
    ("a: !custom 1", "p.yaml:1:4", "tag"),
    ("!!map {a: 1}", "p.yaml:1:1", "tag"),
    ("a: &x 1", "p.yaml:1:4", "anchor"),
    ("a: &x [1]\nb: *x", "p.yaml:1:4", "anchor"),
    ("a: *x", "p.yaml:1:4", "alias"),
    ("a:\n  <<: {b: 1}", "p.yaml:2:3", "merge"),
    ("a: 1\nb: 2\na: 3", "p.yaml:3:1", "'a'"),
    ("a: 1\n---\nb: 2", "p.yaml:2:1", "second document"),
    ("[a]: 1", "p.yaml:1:1", "key"),
    ("a: NO", "p.yaml:1:4", "NO"),
    ("a: [yes]", "p.yaml:1:5", "yes"),
    ("a: on", "p.yaml:1:4", "on"),
    ("a: Off", "p.yaml:1:4", "Off"),
    ("a: [1", "p.yaml:", "not readable"),
    ("a: 1\n b: 2", "p.yaml:2:", "not readable"),
    ("a: \x00", "p.yaml:1:", "not readable"),
    ("", "p.yaml", "empty"),
    ("# nothing\n", "p.yaml", "empty"),
]


@pytest.mark.parametrize(("text", "where", "found"), REFUSED)
def test_what_surprises_is_refused_with_its_place(text, where, found):
    with pytest.raises(ConfigError) as caught:
        read(text, "p.yaml")
    assert str(caught.value.where).startswith(where)
    assert found in caught.value.what


def test_depth_and_size_are_limited():
    deep = "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)
    with pytest.raises(ConfigError, match="64 levels"):
        read(deep, "p.yaml")
    assert read("[" * MAX_DEPTH + "]" * MAX_DEPTH, "p.yaml")
    with pytest.raises(ConfigError, match="at most"):
        read("#" * (MAX_BYTES + 1), "p.yaml")
    with pytest.raises(ConfigError):
        read("[" * 500_000, "p.yaml")


def test_bytes_that_are_no_text_are_refused_with_their_line():
    with pytest.raises(ConfigError) as caught:
        read(b"a: 1\nb: \xff", "p.yaml")
    assert caught.value.where == "p.yaml:2:1"
    assert read(b"\xef\xbb\xbfa: 1", "p.yaml").plain() == {"a": 1}


def test_scalars_follow_yaml_1_2_and_keys_are_text():
    text = 'a: 010\nb: 1:30\nc: 0o17\nd: "no"\ne: ~\nf: 1_000\ng: .5\non: y\n1: 2020-01-01\nh:'
    assert read(text, "p").plain() == {
        "a": 10, "b": "1:30", "c": 15, "d": "no", "e": None, "f": "1_000", "g": 0.5, "on": "y",
        "1": "2020-01-01", "h": None,
    }  # fmt: skip
    assert scalar("-.inf") == float("-inf")
    assert scalar(".nan") != scalar(".nan")
    assert scalar("9" * 5000) == "9" * 5000


def test_every_value_knows_its_place():
    root = read("a: 1\nb:\n  - c: [x,\n        y]\n", "p.yaml")
    assert str(root.place_of("b", 0, "c", 1)) == "p.yaml:4:9"
    assert str(root.place_of("b", 0, "c", 7)) == "p.yaml:3:8"
    assert str(root.place_of("b")) == "p.yaml:2:1"
    assert str(root.place_of("missing")) == "p.yaml:1:1"


def test_a_variable_in_a_flow_mapping_is_explained():
    with pytest.raises(ConfigError) as caught:
        read("a: {b: ${X}}", "p.yaml")
    assert "quote" in str(caught.value.hint)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abcxyz_", min_size=1), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(PLAIN)
def test_reads_back_what_a_safe_dumper_writes(value):
    assert read(yaml.safe_dump(value, allow_unicode=False), "p").plain() == value


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(ConfigError):
        assert read(text, "p").place.file == "p"
