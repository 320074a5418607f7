"""The page as Streamlit draws it, of a pipeline that was really run."""

from __future__ import annotations

import json
import sys
from datetime import timedelta

import pytest
from streamlit.testing.v1 import AppTest

from pydatastream.core.errors import ConfigError
from pydatastream.dashboard import page
from pydatastream.dashboard.board import Board
from pydatastream.pipeline import Pipeline

PIPELINE = """
name: plant *one*
source:
  type: generate
  count: 4000
  step: 20ms
  time: ts
  columns: {ts: t, device: "'dev-' || CAST(i % 4 AS VARCHAR)", v: 20 + 5 * sin(i / 300.0)}
processor:
  - tumbling: {size: 1s, by: [device], aggregate: {n: count(*), mean: avg(v)}}
  - name: alarm
    alert: {when: mean > 24, until: mean < 22, by: [device], value: mean}
outputs:
  windows: {type: file, path: out/, format: json, input: tumbling}
  alarms: {type: sql, url: "sqlite:///alarms.db", table: alarms, create: true}
checkpoint: .pds/plant
"""
PANELS = """
dashboard:
  title: Plant
  panels:
    - {show: value, of: windows, column: [n, mean]}
    - {show: line, of: windows, column: mean, by: device, marks: alarms, shade: n > 12}
    - {show: area, of: windows, column: n, by: device}
    - {show: bar, of: windows, by: device, where: "device <> 'dev-1'"}
    - {show: table, of: alarms}
    - {show: source}
"""


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """The page of a pipeline file, after a run of it."""

    def draw(text, run=True):
        monkeypatch.chdir(tmp_path)
        file = tmp_path / "plant.yaml"
        file.write_text(text)
        if run:
            Pipeline.load(file).run()
        monkeypatch.setattr(sys, "argv", ["page.py", str(file)])
        page.board_of.clear()
        return AppTest.from_file(page.__file__, default_timeout=60).run()

    return draw


def test_every_panel_is_drawn(drawn):
    app = drawn(PIPELINE + PANELS)
    assert not app.exception
    assert not app.warning
    assert [one.value for one in app.title] == ["Plant"]
    assert len(app.get("vega_lite_chart")) == 3
    bars = json.loads(app.get("vega_lite_chart")[2].proto.spec)
    assert bars["encoding"]["y"]["sort"] == "-x"  # the page keeps the order of the rows it had
    alarms = app.dataframe[0].value
    assert set(alarms["state"]) == {"raised", "resolved"}
    assert {one.label for one in app.metric} == {"n", "mean"}


def test_without_a_word_about_it_every_number_has_a_chart_and_every_output_a_table(drawn):
    app = drawn(PIPELINE)
    assert not app.exception
    assert [one.value for one in app.title] == [r"plant \*one\*"]
    assert len(app.get("vega_lite_chart")) == 3  # n and mean of windows, peak of alarms
    assert len(app.dataframe) == 2


def test_one_key_can_be_picked_and_the_past_looked_at(drawn):
    app = drawn(PIPELINE + PANELS)
    app.selectbox("picked").select("dev-2").run()
    assert set(app.dataframe[0].value["device"]) == {"dev-2"}
    whole = len(app.dataframe[0].value)
    app.toggle[0].set_value(False).run()
    moment = app.slider("moment")
    assert moment.proto.step == 1e6  # a second, of the eighty there are
    assert moment.proto.format.endswith("HH:mm:ss")
    moment.set_value(moment.value - timedelta(minutes=1)).run()
    assert not app.exception
    assert len(app.dataframe[0].value) < whole


def test_nothing_yet_is_an_empty_page_and_no_error(drawn):
    app = drawn(PIPELINE + PANELS, run=False)
    assert not app.exception
    assert [one.value for one in app.metric] == ["-", "-"]


def test_a_broken_file_is_told_on_the_page(drawn):
    app = drawn("name: x\nsauce: {}\n", run=False)
    assert not app.exception
    assert app.error[0].value == "the pipeline cannot be shown"
    assert "sauce" in app.code[0].value


@pytest.mark.parametrize(
    ("panel", "why"),
    [
        ("{column: mena, of: windows}", "no|does not have"),
        ("{of: widows}", "no output is called 'widows'"),
        ("{show: bar, of: windows}", "need `by:`"),
        ("{of: windows, where: mean}", "true or false"),
        ("{of: windows, marks: alarm}", "no output is called 'alarm'"),
    ],
)
def test_a_panel_that_names_what_is_not_there_is_refused(tmp_path, panel, why):
    file = tmp_path / "p.yaml"
    file.write_text(f"{PIPELINE}\ndashboard: {{panels: [{panel}]}}\n")
    with pytest.raises(ConfigError, match=why):
        Board.of(Pipeline.load(file))


def test_a_dashboard_is_kept_when_a_pipeline_is_written_again(tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text(PIPELINE + PANELS)
    first = Pipeline.load(file)
    file.write_text(first.to_yaml())
    again = Pipeline.load(file)
    assert Board.of(again).said == Board.of(first).said
