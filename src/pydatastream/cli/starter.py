"""The text of a first pipeline file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import yaml

from pydatastream.catalog import catalog
from pydatastream.core.component import Component
from pydatastream.demo.motes import FOLDER
from pydatastream.reference import options

HEAD = """# {name}: where rows come from, what happens to them, where they go.
#   pds check {name}.yaml    is it right?      pds explain {name}.yaml   what does it do?
#   pds run {name}.yaml      run it            pds test {name}.yaml      run the tests below
#   pds list                 what else there is; pds schema operator tumbling: its options

name: {name}
"""

SOURCE = """
source:                                 # pds list sources
  type: file
  path: "{data}"
                                        # your own: "data/*.csv", "logs/*.jsonl"; the format
                                        # is told by the ending
  schema: {{ts: timestamp, mote_id: int, humidity: float, temperature: float, label: int}}
  time: ts                              # event time: when it happened, not when it arrived
  # follow: true                        # go on with what is added to the files
"""

STEPS = """
processor:                              # pds list steps
  - filter: temperature > 27            # SQL: keep the rows for which it is true
  - tumbling:                           # windows of event time, one row per window and key
      size: 10m
      by: [mote_id]
      # lateness: 5s                    # wait so long for rows that come late
      aggregate: {n: count(*), mean: avg(temperature), hottest: max(temperature)}
"""

NO_STEPS = """
processor:                              # pds list steps
  # - filter: temperature > 10
  # - tumbling: {size: 1m, by: [device_id], aggregate: {n: count(*)}}
"""

SINK = """
output:                                 # pds list sinks
  type: file
  path: out-{name}/
  format: json
"""

MORE = """
# checkpoint: .pds/{name}               # go on where the last run stopped, even after kill -9
# on_error: dead_letter                 # rows that fail: pds dlq show {name}.yaml; or fail, skip
# late: {{type: file, path: late-{name}/}}   # rows that came after their window had closed
"""

TESTS = """
tests:
  - name: a cool reading is left out
    given:
      - {mote_id: 1, ts: "2010-03-01T00:00:00Z", temperature: 27.5}
      - {mote_id: 1, ts: "2010-03-01T00:00:05Z", temperature: 26.5}
    expect:
      - {mote_id: 1, n: 1, hottest: 27.5}
"""


def starter(name: str, source: str | None = None, sink: str | None = None) -> str:
    """A pipeline file with comments.

    It runs as it is, on the data of the demo, unless another source or sink is asked for: then
    their examples stand there, and what else they can do.
    """
    data = FOLDER / "motes.csv.gz"
    parts = [
        HEAD.format(name=name),
        _node("source", catalog().find("source", source)) if source else SOURCE.format(data=data),
        NO_STEPS if source else STEPS,
        _node("output", catalog().find("sink", sink)) if sink else SINK.format(name=name),
        MORE.format(name=name),
    ]
    return "".join(parts if source else [*parts, TESTS])


def _node(key: str, component: type[Component]) -> str:
    """A source or sink with the options of its example, and the others in comments."""
    given = yaml.safe_load(component.example)
    summary = (component.__doc__ or "").partition("\n")[0]
    lines = [f"# {summary}", f"{key}:", *_written(given), *_others(component, given)]
    return "\n" + "".join(f"{line}\n" for line in lines)


def _written(given: dict[str, object]) -> Iterator[str]:
    for name, value in given.items():
        text = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False)
        yield f"  {name}: {text.removesuffix('...' + chr(10)).strip()}"


def _others(component: type[Component], given: Iterable[str]) -> Iterator[str]:
    for one in options(component):
        if one.name not in given:
            default = f" (default {one.default})" if one.default else ""
            yield f"  # {one.name}: {one.type}{default}. {one.meaning}"
