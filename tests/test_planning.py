"""The planner: wiring, types, projection and guarantees."""

import pytest

from pydatastream.config import loading
from pydatastream.core.errors import ConfigError, SchemaError
from pydatastream.core.sink import Delivery
from pydatastream.core.times import EVENT_TIME
from pydatastream.planning import guarantee, plan

SCHEMA = "{id: string, ts: int, t: float, u: float, v: float}"


def source(schema=SCHEMA, extra="time: ts, time_unit: ms", path="x"):
    return f"{{type: file, path: '{path}.jsonl', format: json, schema: {schema}, {extra}}}"


def planned(steps="", outputs="output: {type: 'null'}", sources=None, **options):
    text = f"{sources or 'source: ' + source()}\nprocessor:\n{steps}\n{outputs}\n"
    return plan(loading.loads(text, "p.yaml", None, {}), **options)


TWO = f"sources: {{a: {source()}, b: {source(path='y')}}}"
WINDOW = "- tumbling: {size: 1m, by: id, aggregate: {m: avg(t)}}"


def test_a_step_takes_the_one_before_and_the_output_the_last():
    found = planned("- filter: t > 1\n- filter: t > 2\n- {filter: t > 3, name: hot}")
    assert [(one.name, one.inputs) for one in found.steps] == [
        ("filter", ("source",)),
        ("filter_2", ("filter",)),
        ("hot", ("filter_2",)),
    ]
    assert [(one.name, one.input) for one in found.outputs] == [("output", "hot")]


def test_without_steps_the_output_takes_the_only_source():
    assert planned().outputs[0].input == "source"


def test_several_inputs_and_steps_in_any_order():
    steps = "- {filter: t > 1, input: union}\n- {union: , inputs: [a, b]}"
    found = planned(steps, "output: {type: 'null', input: filter}", TWO)
    assert [one.name for one in found.steps] == ["union", "filter"]


def test_ports_are_named_after_their_step():
    main, late = (f"{{type: 'null', input: {ref}}}" for ref in ("tumbling", "tumbling.late"))
    outputs = f"outputs: {{main: {main}, l: {late}}}"
    found = planned(WINDOW, outputs)
    assert found.outputs[1].input == "tumbling.late"
    assert "t" in found.outputs[1].flow.schema
    assert planned(WINDOW, "output: 'null'\nlate: 'null'").outputs[1] == found.outputs[1].__class__(
        "late", found.outputs[1].sink, "tumbling.late", found.outputs[1].flow
    )


WRONG = [
    ("- {filter: t > 1, input: sorce}", {}, "no step or source is called 'sorce'", "p.yaml:3"),
    ("- {filter: t > 1, input: source.late}", {}, "no output 'source.late'", "p.yaml:3"),
    ("- {filter: t > 1, input: filter}", {}, "circle: filter -> filter", "p.yaml:3"),
    (
        "- {filter: t > 1, name: f, input: g}\n- {filter: t > 1, name: g, input: f}",
        {},
        "circle: f -> g -> f",
        "p.yaml:3",
    ),
    ("- filter: t > 1", {"sources": TWO}, "open which source", "p.yaml:3"),
    ("- {filter: t > 1, input: a}", {"sources": TWO}, "takes what 'b' gives", "p.yaml:1"),
    ("- {filter: t > 1, name: source}", {}, "taken by a source", "p.yaml:3"),
    ("- {filter: t > 1, name: a.b}", {}, "is no name", "p.yaml:3"),
    (
        "- {filter: t > 1, name: x}\n- {filter: t > 2, input: source}",
        {},
        "what 'x' gives",
        "p.yaml:3",
    ),
    ("- {filter: t > 1, inputs: [source, source]}", {}, "twice", "p.yaml:3"),
    (
        "- {filter: t > 1, inputs: [a, b]}",
        {"sources": TWO},
        "takes 1 input(s), found 2",
        "p.yaml:3",
    ),
    ("- filter: temp > 1", {}, "temp", "p.yaml:3"),
    ("- filter: t + 1", {}, "", "p.yaml:3"),
    ("", {"outputs": ""}, "nothing is written", "p.yaml"),
    ("", {"sources": "name: x"}, "nothing is read", "p.yaml"),
    (
        "",
        {"outputs": "output: 'null'\nlate: 'null'"},
        "late rows of one step, found none",
        "p.yaml",
    ),
    (
        WINDOW,
        {"sources": f"source: {source(extra='time: ts')}"},
        "number without a unit",
        "p.yaml:1",
    ),
    ("", {"sources": f"source: {source(extra='time: tx')}"}, "no column 'tx'", "p.yaml:1"),
    ("", {"sources": f"source: {source(extra='required: [tx]')}"}, "no column 'tx'", "p.yaml:1"),
    (WINDOW, {"sources": f"source: {source(extra='required: []')}"}, "event time", "p.yaml:3"),
    (
        "",
        {"sources": f"source: {source('{processing_time: int}', 'time: processing')}"},
        "there already",
        "p.yaml:1",
    ),
    (
        "",
        {"sources": f"source: {source('{a: bool}', 'time: a')}"},
        "cannot be event time",
        "p.yaml:1",
    ),
    ("", {"sources": f"source: {source('{__clock: int}', 'required: []')}"}, "__clock", "p.yaml:1"),
    (
        "",
        {"outputs": "output: {type: 'null', inputs: [a, b]}", "sources": TWO},
        "one input",
        "p.yaml:4",
    ),
]


@pytest.mark.parametrize(("steps", "rest", "what", "where"), WRONG)
def test_what_does_not_fit_is_refused_with_its_place(steps, rest, what, where):
    with pytest.raises(ConfigError) as caught:
        planned(steps, **rest)
    assert what in caught.value.what
    assert str(caught.value.where).startswith(where), str(caught.value)


@pytest.mark.parametrize("kind", ["timestamp", "date", "string"])
def test_event_time_becomes_microseconds_in_utc(kind):
    found = planned(sources=f"source: {source(f'{{ts: {kind}}}', 'time: ts')}").sources[0]
    assert found.flow.schema["ts"] == EVENT_TIME
    assert found.flow.time.column == "ts"
    assert found.reads["ts"] != EVENT_TIME or kind == "timestamp"


def test_processing_time_is_a_column():
    found = planned(sources=f"source: {source(extra='time: processing')}").sources[0]
    assert found.flow.schema["processing_time"] == EVENT_TIME
    assert "processing_time" not in found.reads


def test_offline_refuses_to_look(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n')
    sources = f"source: {{type: file, path: {tmp_path}/x.jsonl}}"
    with pytest.raises(SchemaError, match="without looking") as caught:
        planned(sources=sources, offline=True)
    assert "schema:" in str(caught.value.hint)
    found = planned(sources=sources)
    assert found.sources[0].reads.names() == ["a"]
    assert found.sources[0].source.format.type_name() == "json"


def test_only_columns_that_are_used_are_read():
    window = planned(f"- filter: u > 1\n{WINDOW}")
    assert window.sources[0].reads.names() == ["id", "ts", "t", "u"]
    assert planned("- filter: u > 1").sources[0].reads.names() == ["id", "ts", "t", "u", "v"]
    chain = planned('- with: {w: "t * 2"}\n- rename: {w: x}\n- select: [x]')
    assert chain.sources[0].reads.names() == ["ts", "t"]
    assert chain.outputs[0].flow.schema.names() == ["x"]


def test_cells_of_messages_are_told_by_their_place():
    options = f"format: csv, schema: {SCHEMA}, time: ts, time_unit: ms"
    message = f"source: {{type: redis, stream: s, {options}}}"
    assert planned(WINDOW, sources=message).sources[0].reads.names() == ["id", "ts", "t", "u", "v"]
    file = f"source: {{type: file, path: x.csv, {options}}}"
    assert planned(WINDOW, sources=file).sources[0].reads.names() == ["id", "ts", "t"]


def test_what_a_side_output_takes_is_read():
    late = planned(WINDOW, "output: 'null'\nlate: 'null'")
    assert late.sources[0].reads.names() == ["id", "ts", "t", "u", "v"]


def test_required_columns_are_read_and_at_least_one():
    required = f"source: {source(extra='time: ts, time_unit: ms, required: [v]')}"
    assert "v" in planned(WINDOW, sources=required).sources[0].reads
    count = "- tumbling: {size: 1m, aggregate: {n: count(*)}}"
    arrival = f"source: {source(extra='time: processing')}"
    assert planned(count, sources=arrival).sources[0].reads.names() == ["id"]


BOTH = """
outputs:
  o: {type: file, path: out/, format: json}
  s: {type: stdout, format: json}
"""


def test_guarantees_are_the_weakest_link():
    found = planned(outputs=BOTH)
    durable = guarantee(found, durable=True)
    assert durable["o"].delivery is Delivery.EXACTLY_ONCE
    assert durable["s"].delivery is Delivery.AT_LEAST_ONCE
    assert "file remembers" in str(durable["o"])
    asked = guarantee(found, durable=True, delivery="at_least_once")
    assert asked["o"].delivery is Delivery.AT_LEAST_ONCE
    assert guarantee(found, durable=False)["o"].delivery is Delivery.EXACTLY_ONCE
    tail = f"source: {source(extra='follow: true')}"
    open_end = planned(outputs="output: {type: file, path: out/, format: json}", sources=tail)
    assert guarantee(open_end, durable=False)["output"].delivery is Delivery.AT_MOST_ONCE


@pytest.mark.parametrize(
    ("sink", "delivery", "why"),
    [
        ("{type: file, path: out/, format: json}", Delivery.EXACTLY_ONCE, "replaces its output"),
        ("{type: s3, bucket: bbb, format: json}", Delivery.EXACTLY_ONCE, "replaces its output"),
        (
            "{type: kafka, brokers: b, topic: t}",
            Delivery.AT_LEAST_ONCE,
            "kafka may have its rows twice",
        ),
        ("{type: redis, stream: s}", Delivery.AT_LEAST_ONCE, "redis may have its rows twice"),
        ("{type: redis, key: 's:{id}'}", Delivery.AT_LEAST_ONCE, "redis may have its rows twice"),
        ("'null'", Delivery.AT_MOST_ONCE, "keeps nothing"),
    ],
)
def test_without_a_checkpoint_only_files_are_replaced(sink, delivery, why):
    found = guarantee(planned(outputs=f"output: {sink}"), durable=False)["output"]
    assert (found.delivery, why in found.reason) == (delivery, True), found


def test_explain_shows_origins_but_no_secret():
    text = f"source: {source(path='${P}')}\nprocessor:\n{WINDOW}\noutput: 'null'\n"
    text += "late: {type: file, path: '${P}/', format: json}\n"
    found = plan(loading.loads(text, "p.yaml", None, {"P": "canary"}))
    assert "path=${P}.jsonl" in found.explain()
    assert "source.path from environment P" in found.explain()
    assert "canary" not in found.explain()
    assert "source.time from file p.yaml:1" in found.explain(origins=True)
    assert "p.yaml" not in found.explain()
