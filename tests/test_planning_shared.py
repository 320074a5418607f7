"""Plans of which several processes run one each, and share the partitions of a source."""

from pathlib import Path

import polars as pl
import pytest

from pydatastream import planning
from pydatastream.cli.letters import Letters
from pydatastream.config import loading
from pydatastream.core.dead import LETTER_SCHEMA
from pydatastream.core.errors import ConfigError
from pydatastream.core.sink import Write
from pydatastream.pipeline import Pipeline

SOURCE = (
    "type: kafka, brokers: 'h:1', topic: t, group: g, balance: true, format: json, "
    "schema: {id: string, ts: int, v: float}, time: ts, time_unit: ms"
)
KAFKA = "output: {type: kafka, brokers: 'h:1', topic: u}"


def declared(steps="", output=KAFKA, source=SOURCE, more=""):
    text = f"source: {{{source}}}\nprocessor:\n{steps}\n{output}\n{more}"
    return loading.loads(text, "p.yaml", None, {})


def promised(declaration):
    plan = planning.plan(declaration, offline=True)
    delivery = planning.settings(declaration)["delivery"]
    return str(planning.guarantee(plan, durable=False, delivery=delivery)["output"])


def test_to_the_same_cluster_it_is_exactly_once():
    assert promised(declared()).startswith("exactly once: how far the group has read is in")


@pytest.mark.parametrize(
    ("output", "more"),
    [
        (KAFKA.replace("h:1", "other:1"), ""),
        (KAFKA, "delivery: at_least_once"),
        ("output: {type: console}", ""),
        ("output: {type: sql, url: 'sqlite:///x.db', table: t}", ""),
    ],
)
def test_otherwise_at_least_once(output, more):
    assert promised(declared(output=output, more=more)).startswith("at least once: ")


def test_with_two_outputs_none_can_hold_how_far_all_is_read():
    outputs = KAFKA.replace("output: ", "outputs:\n  output: ") + "\n  other: {type: console}"
    assert promised(declared(output=outputs)).startswith("at least once: ")


KEEPING = [
    "- tumbling: {size: 1m, by: id, aggregate: {m: avg(v)}}",
    "- dedupe: {by: id, within: 1m}",
    "- rolling: {rows: 3, aggregate: {m: avg(v)}}",
    "- limit: 3",
    "- ewma: {column: v}",
]


@pytest.mark.parametrize("step", KEEPING)
def test_steps_that_remember_are_refused_with_the_remedy(step):
    with pytest.raises(ConfigError, match=r"remembers rows.*\n.*`partitions: \[\.\.\.\]`") as told:
        planning.plan(declared(step), offline=True)
    assert "p.yaml:3" in str(told.value)


FORGETTING = [
    "- filter: v > 1",
    "- with: {w: v * 2}",
    "- {route: {hot: v > 3}}",
    "- sample: 0.5",
    "- select: [id, v]",
    "- cast: {v: int}",
]


@pytest.mark.parametrize("step", FORGETTING)
def test_steps_that_look_at_one_row_are_not(step):
    assert "exactly once" in promised(declared(step))


WRONG = [
    ({"output": "output: {type: file, path: out/, format: json}"}, "is written by one process"),
    ({"source": SOURCE.replace("group: g, ", "")}, "needs the `group:`"),
    ({"source": SOURCE + ", partitions: [0]"}, "not go together with `partitions:`"),
    ({"source": SOURCE + ", stop: latest"}, "not go together with `stop:`"),
    ({"source": SOURCE + ", isolation: read_uncommitted"}, "together with `isolation:`"),
]


@pytest.mark.parametrize(("parts", "told"), WRONG, ids=[told for _, told in WRONG])
def test_what_does_not_go_together(parts, told):
    with pytest.raises(ConfigError, match=told):
        planning.plan(declared(**parts), offline=True)


def test_all_sources_are_shared_or_none():
    other = "{type: file, path: x.jsonl, " + SOURCE[SOURCE.index("format:") :] + "}"
    text = f"sources:\n  a: {{{SOURCE}}}\n  b: {other}\nprocessor:\n  - union:\n    inputs: [a, b]"
    with pytest.raises(ConfigError, match="no group keeps"):
        planning.plan(loading.loads(f"{text}\n{KAFKA}\n", "p.yaml", None, {}), offline=True)


def test_a_checkpoint_is_refused_wherever_it_is_named():
    with pytest.raises(ConfigError, match=r"p\.yaml:5.*the group keeps how far all are"):
        planning.settings(declared(more="checkpoint: {path: c}"))
    with pytest.raises(ConfigError, match="the group keeps how far all are"):
        planning.settings(declared(), {"checkpoint": "c"})


def test_the_dead_letters_of_each_process_stay(tmp_path, monkeypatch):
    """Another process, or the same that begins again, removes nobody's."""
    monkeypatch.chdir(tmp_path)
    Path("p.yaml").write_text(f"source: {{{SOURCE}}}\n{KAFKA}\n")
    pipeline = Pipeline.load(Path("p.yaml"))
    letter = dict.fromkeys(LETTER_SCHEMA)
    for n in range(3):
        job = Write(LETTER_SCHEMA, f"p-{n}", "dead_letters")
        writer = pipeline.settings()["dead_letters"].open(job)
        writer.begin(1)
        writer.write(_letters(letter | {"error": f"of {n}"}))
        writer.publish(1)
        writer.close()
    found = Letters.of_pipeline(pipeline).frame()
    assert sorted(found["error"]) == ["of 0", "of 1", "of 2"]


def _letters(*rows):
    return pl.DataFrame(rows, LETTER_SCHEMA)
