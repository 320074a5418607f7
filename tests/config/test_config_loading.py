"""A pipeline file becomes a declaration, or an error at its place."""

from typing import ClassVar

import pytest
from pydantic import SecretStr

from pydatastream.catalog import Catalog, catalog
from pydatastream.config import components, descriptions, loading, steps
from pydatastream.core.errors import ConfigError
from pydatastream.core.operator import RowOperator
from pydatastream.core.source import Source

HEAD = "source: {type: file, path: x.jsonl, format: json}\n"
TAIL = "output: {type: 'null'}\n"


class Keep(RowOperator):
    primary: ClassVar[str | None] = "threshold"
    env: ClassVar = {"threshold": ("TEMPERATURE_THRESHOLD", "TEMPERATURE_THRESH")}
    threshold: float = 1.0
    by: list[str] = []
    deep: bool = False


class VaultSource(Source):
    replayable: ClassVar[bool] = True
    password: SecretStr | None = None
    url: str = ""
    port: int = 1


@pytest.fixture(autouse=True)
def parts(monkeypatch):
    found = Catalog.of([*catalog().classes.values(), Keep, VaultSource])
    for module in (components, steps, descriptions):
        monkeypatch.setattr(module, "catalog", lambda: found)


def load(text, environment=None, folder=None):
    return loading.loads(text, "p.yaml", folder, environment or {})


def step(text, environment=None):
    return load(f"{HEAD}processor:\n{text}\n{TAIL}", environment).steps[0]


def test_long_and_short_form_are_the_same():
    long = step("- {name: low, function: keep, args: {threshold: 10}}")
    short = step("- {keep: 10, name: low}")
    full = step("- keep: {threshold: 10}\n  name: low")
    assert long.component == short.component == full.component == Keep(threshold=10)
    assert long.name == short.name == "low"
    assert long.written == short.written == {"threshold": 10}


def test_a_step_without_options_is_a_word():
    assert step("- keep").component == Keep()
    assert step("- keep:").component == Keep()


def test_a_mapping_goes_to_a_primary_option_that_is_one():
    assert step('- with: {f: "a * 2"}').component.columns == {"f": "a * 2"}
    assert step('- {function: with, args: {columns: {f: "a * 2"}}}').component.columns == {
        "f": "a * 2"
    }
    assert step('- {function: with, args: {f: "a * 2"}}').component.columns == {"f": "a * 2"}


def test_a_single_text_goes_into_a_primary_list():
    assert step("- select: a").component == step("- select: [a]").component


def test_text_is_accepted_where_a_number_is_meant():
    assert step('- keep: " 10 "').component.threshold == 10
    assert step('- keep: {deep: " true "}').component.deep is True


def test_overrides_come_in_order_of_their_names():
    both = {"TEMPERATURE_THRESHOLD": "3", "TEMPERATURE_THRESH": "4"}
    assert step("- keep: 10", both).component.threshold == 3
    assert step("- keep: 10", {"TEMPERATURE_THRESH": "4"}).component.threshold == 4
    found = step("- {keep: 10, name: filter_low}", {**both, "FILTER_LOW_THRESHOLD": "15"})
    assert found.component.threshold == 15
    assert found.origins == {"threshold": "environment FILTER_LOW_THRESHOLD"}
    assert step("- keep", {"KEEP_BY": "a, b"}).component.by == ["a", "b"]


def test_source_and_output_options_are_overridden_too():
    found = load(f"{HEAD}{TAIL}", {"SOURCE_PATH": "y.jsonl"})
    assert found.sources[0].component.path == "y.jsonl"
    assert found.sources[0].written["path"] == "x.jsonl"


def test_a_repeated_step_is_numbered_for_overrides():
    text = f"{HEAD}processor: [keep: 1, keep: 2]\n{TAIL}"
    assert load(text, {"KEEP_2_THRESHOLD": "9"}).steps[1].component.threshold == 9


def test_dotenv_beside_the_file_is_read(tmp_path):
    (tmp_path / ".env").write_text("KEEP_THRESHOLD=7\nP=x.jsonl\n")
    (tmp_path / "p.yaml").write_text(
        'source: {type: file, path: "${P}", format: json}\n' + "processor: [keep]\n" + TAIL
    )
    found = loading.load(tmp_path / "p.yaml", {})
    assert found.steps[0].component.threshold == 7
    assert found.steps[0].origins["threshold"] == ".env KEEP_THRESHOLD"
    assert found.sources[0].origins["path"] == ".env P"
    assert found.name == "p"


def test_named_nodes_and_wires():
    found = load(
        "sources: {a: {type: file, path: x, format: json}, b: {type: file, path: y, format: csv}}\n"
        "processor: [{union: , inputs: [a, b]}, {keep: 1, input: union}]\n"
        "outputs: {o: {type: 'null', input: keep}, p: 'null'}\nlate: 'null'\n"
    )
    assert [source.name for source in found.sources] == ["a", "b"]
    assert [one.inputs for one in found.steps] == [("a", "b"), ("union",)]
    assert [one.inputs for one in found.outputs] == [("keep",), ()]
    assert found.late is not None


def test_the_parts_beside_the_steps():
    found = load(
        f"{HEAD}{TAIL}name: n\ncheckpoint: .pds/x\nbatch: {{rows: 10}}\ndelivery: at_least_once\n"
        "on_error: {policy: dead_letter, output: {type: file, path: dead/, format: json}}\n"
        "tests: [{given: 1}]\n"
    )
    assert found.checkpoint.component.path == ".pds/x"
    assert found.batch.component.rows == 10
    assert found.on_error.component.output.path == "dead/"
    assert found.on_error.component.output.format.type_name() == "json"
    assert found.tests == ({"given": 1},)
    assert load(f"{HEAD}{TAIL}on_error: skip").on_error.component.policy == "skip"


WRONG = [
    ("sorce: 1", "p.yaml:1:1", "no key 'sorce'", "'source'"),
    ("[a]", "p.yaml:1:1", "must be a mapping", None),
    ("source: {path: x}", "p.yaml:1:9", "source needs the type", "file"),
    ("source: {type: fil, path: x}", "p.yaml:1:16", "no source is called 'fil'", "'file'"),
    ("source: {type: file, pth: x}", "p.yaml:1:22", "no option 'pth'", "'path'"),
    ("source: {type: file}", "p.yaml:1:9", "needs 'path'", "file"),
    ("source: {type: file, path: 1}", "p.yaml:1:22", "path must be text, found 1", "quote"),
    ("source: {type: file, path: x, format: jsn}", "p.yaml:1:31", "no format", "'json'"),
    (
        "processor: [filter: {where: v > 1, input: a}]",
        "p.yaml:1:36",
        "`input:` stands beside filter",
        "{filter: ..., input: ...}",
    ),
    (
        "source: {type: file, path: x, format: {type: json, strit: true}}",
        "p.yaml:1:52",
        "no option 'strit'",
        "'strict'",
    ),
    ("source: {type: file, path: x, format: [json]}", "p.yaml:1:31", "format", None),
    ("source: {type: file, path: x, time_unit: h}", "p.yaml:1:31", "'s', 'ms'", None),
    ("source: {type: file, path: x, idle_timeout: 5 parsecs}", "p.yaml:1:31", "duration", "500ms"),
    ("source: {type: file, path: x, schema: {a: strng}}", "p.yaml:1:31", "strng", "string"),
    ("processor: {filter: a}", "p.yaml:1:12", "must be a list", "- filter"),
    ("processor: [1]", "p.yaml:1:13", "must be a mapping", None),
    ("processor: [{}]", "p.yaml:1:13", "one type", None),
    ("processor: [{keep: 1, select: a}]", "p.yaml:1:23", "found keep, select", None),
    ("processor: [kep: 1]", "p.yaml:1:13", "no step is called 'kep'", "'keep'"),
    ("processor: [{function: kep}]", "p.yaml:1:24", "no step is called 'kep'", "'keep'"),
    ("processor: [{function: keep, arg: {}}]", "p.yaml:1:30", "no key 'arg'", "'args'"),
    ("processor: [keep: {treshold: 1}]", "p.yaml:1:20", "no option 'treshold'", "'threshold'"),
    ("processor: [keep: {threshold: hot}]", "p.yaml:1:20", "must be a number, found 'hot'", None),
    ("processor: [keep: {by: {a: 1}}]", "p.yaml:1:20", "must be a list", None),
    ("processor: [{keep: 1, input: a, inputs: b}]", "p.yaml:1:41", "both", None),
    ("processor: [{keep: 1, name: 3}]", "p.yaml:1:29", "must be text", None),
    ("delivery: exactly_onc", "p.yaml:1:1", "exactly_onc", "exactly_once"),
    ("checkpoint: {path: x, intervall: 1s}", "p.yaml:1:23", "no option", "'interval'"),
    ("on_error: dead", "p.yaml:1:11", "must be 'dead_letter', 'fail' or 'skip'", None),
    ("batch: {rows: 0}", "p.yaml:1:9", "greater than 0, found 0", None),
    ("source: {type: file, path: x}\nsources: {}", "p.yaml:2:", "both", None),
    ("name: ${X}", "p.yaml:1:7", "X is not set", "X:default"),
    ("output: {type: 'null', topic: '${NO_SUCH}'}", "p.yaml:1:31", "NO_SUCH", None),
    ("tests: 1", "p.yaml:1:8", "list", None),
]


@pytest.mark.parametrize(("text", "where", "what", "hint"), WRONG)
def test_errors_say_where_what_and_what_to_try(text, where, what, hint):
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert str(caught.value.where).startswith(where), str(caught.value)
    assert what in caught.value.what
    assert "\n" not in caught.value.what
    assert hint is None or hint in str(caught.value.hint)


def test_a_bare_value_without_a_primary_option_names_the_options():
    with pytest.raises(ConfigError, match="takes options by name") as caught:
        load("batch: 10")
    assert "rows" in str(caught.value.hint)


def test_secrets_are_shown_nowhere():
    secret = "canary-42"
    text = "source: {type: vault, password: '${PW}', url: 'x://u:${PW}@h', port: '${PORT:1}'}\n"
    found = load(text + TAIL, {"PW": secret}).sources[0]
    assert found.component.password.get_secret_value() == secret
    shown = f"{found.written} {found.filled} {found.origins}"
    assert secret not in shown
    for bad in ({"PW": "x", "PORT": secret}, {"PW": "x", "SOURCE_PORT": secret}):
        with pytest.raises(ConfigError, match="must be a whole number") as caught:
            load(text + TAIL, bad)
        assert secret not in str(caught.value)
        assert "PORT" in str(caught.value)


def test_a_plain_secret_of_the_wrong_type_is_not_shown():
    with pytest.raises(ConfigError) as caught:
        load("source: {type: vault, password: 12345678}")
    assert "12345678" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        loading.load(tmp_path / "missing.yaml")
