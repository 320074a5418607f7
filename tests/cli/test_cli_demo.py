"""pds demo and pds bench."""

import json
import sys
from pathlib import Path

import pytest

import pydatastream.demo as demo_package
from pydatastream.demo import demo_names
from pydatastream.demo.motes import FOLDER, text
from pydatastream.demo.motes.prepare import prepared

PUBLISHED = Path("/work/shared/data/wsn/suthaharan_single_hop_motes_1_2.csv")


def test_the_demo_shows_windows_and_leaves_a_pipeline_to_change(pds, folder):
    said = pds("demo")
    assert said.code == 0, said.err
    assert "71 windows in out/" in said.out
    assert "CC BY 4.0" in said.out
    assert "8,834 rows in" in said.out
    assert "56.56" in said.out
    assert len(list(folder.glob("out/part-*"))) == 1
    assert pds("test", "pds-demo.yaml").code == 0


@pytest.mark.parametrize(
    ("old", "new", "windows"),
    [
        ("temperature > 27 ", "label = 1 ", 2),
        ("size: 10m", "size: 1h", 13),
        ("max(humidity)", "median(humidity)", 71),
        ("max(humidity)", "last(label)", 71),
    ],
)
def test_the_lines_to_change_can_be_changed(pds, folder, old, new, windows):
    assert old in text()
    (folder / "mine.yaml").write_text(text().replace(old, new))
    said = pds("run", "mine.yaml", "--json")
    assert json.loads(said.out)["rows_out"] == windows


def test_the_demo_overwrites_nothing(pds, folder):
    (folder / "pds-demo.yaml").write_text("mine")
    assert "was left alone" in pds("demo").out
    assert (folder / "pds-demo.yaml").read_text() == "mine"


def test_demos_are_listed_and_found_by_name(pds):
    assert all(f"pds demo {name}" in pds("demo", "--list").out for name in demo_names())
    said = pds("demo", "moats")
    assert (said.code, "did you mean 'motes'?" in said.err) == (2, True)


def test_sensors_are_heard_within_this_process(pds, monkeypatch):
    monkeypatch.setenv("TEMPERATURE_THRESHOLD", "20")
    said = pds("demo", "sensors")
    assert said.code == 0, said.err
    shown = [line.split() for line in said.out.splitlines() if line.startswith("device-")]
    assert len(shown) > 5
    assert min(float(cells[2]) for cells in shown) >= 20
    assert f"readings came, {len(shown)} are warm enough" in said.out
    assert "examples/sensors" in said.out


def test_a_demo_is_a_module_that_is_dropped_in(pds, tmp_path, monkeypatch):
    text = (
        '"""Says hello."""\n\nFULL = "make services"\n\n\ndef run(out):\n    out.print("hello")\n'
    )
    (tmp_path / "dropped.py").write_text(text)
    monkeypatch.setattr(demo_package, "__path__", [*demo_package.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "pydatastream.demo.dropped", raising=False)
    assert "pds demo dropped" in pds("demo").out
    said = pds("demo", "dropped")
    assert said.out.split("\n") == [
        "dropped: Says hello",
        "hello",
        "",
        "the full form: make services",
        "",
    ]


def test_the_data_names_its_source():
    credit = (FOLDER / "README.md").read_text()
    assert "CC BY 4.0" in credit
    assert "Suthaharan" in credit


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published readings are not here")
def test_the_data_are_what_the_preparation_makes():
    assert (FOLDER / "motes.csv.gz").read_bytes() == prepared(PUBLISHED)


def test_bench_measures_both(pds, monkeypatch):
    ((one,),) = [json.loads(pds("bench", "throughput", "--rows", "20000", "--json").out)]
    assert one["rows"] == 20_000
    assert one["rows_per_second"] > 0
    short = ("bench", "latency", "--rate", "1000", "--seconds", "0.3", "--json")
    (two,) = json.loads(pds(*short).out)
    assert two["rows"] == 300
    assert 0 < two["p50"] <= two["p99"] <= two["most"]


def test_bench_prints_a_table(pds):
    said = pds("bench", "latency", "--rate", "100", "--seconds", "0.1")
    assert "p99 ms" in said.out
    assert "a row at 100 rows/s" in said.out


def test_bench_detect_measures_a_folder_and_saves_what_was_scored(pds, folder):
    rows = "".join(
        f"2024-01-{day:02} {hour:02}:00:00,{hour}\n" for day in (1, 2) for hour in range(24)
    )
    (folder / "data").mkdir()
    (folder / "data" / "one.csv").write_text("timestamp,value\n" + rows)
    detect = ("bench", "detect", "--suite", "nab", "--data", "data")
    found = json.loads(pds(*detect, "--json", "--save", "scored").out)
    assert found["rows"] == 48
    assert found["files"] == 1
    head, *scored = (folder / "scored" / "one.csv").read_text().splitlines()
    assert head == "row,score,alarm"
    assert len(scored) == 48
    assert "Numenta HTM" in pds(*detect).out


def test_bench_detect_says_what_is_missing(pds):
    assert "no suite is called 'nabb'" in pds("bench", "detect", "--suite", "nabb").err
    assert "--data DIR" in pds("bench", "detect", "--suite", "nab", "--data", "nowhere").err
    assert "is one of suite 'wsn'" in pds("bench", "detect", "--suite", "wsn", "--data", ".").err
