"""pds dlq: dead letters are shown, and replayed once."""

import base64
import json

import polars as pl
import pytest

from pydatastream.cli import replaying
from pydatastream.cli.letters import Letters
from pydatastream.core.dead import LETTER_SCHEMA
from pydatastream.core.sink import Write
from pydatastream.planning.letter_folder import letter_folder

CHECKED = """
def checked(row):
    if row["device_id"] == "{bad}":
        raise ValueError("no such device")
    return row
"""
PIPELINE = """
name: p
functions: [steps.py]
source:
  type: file
  path: in/*.csv
  schema: {{device_id: string, ts: timestamp, t: {type}}}
  time: ts
processor:
  - checked: {{}}
  - tumbling: {{size: 1m, by: [device_id], aggregate: {{n: count(*), last: max(t)}}}}
output: {{type: file, path: out/, format: json}}
"""
CSV = b"""device_id,ts,t
a,2026-01-01T12:03:05Z,1
bad,2026-01-01T12:02:05Z,2
b,2026-01-01T12:05:05Z,high
b,2026-01-01T12:04:05Z,low
c,2026-01-01T12:00:05Z,1,2,3
\xff,2026-01-01T12:00:05Z,1
"""


def write(folder, type_="int", bad="bad"):
    (folder / "steps.py").write_text(CHECKED.replace("{bad}", bad))
    (folder / "p.yaml").write_text(PIPELINE.format(type=type_))


@pytest.fixture
def ran(folder, pds):
    """A run that left five dead letters: four of the source, one of a step."""
    (folder / "in").mkdir()
    (folder / "in/a.csv").write_bytes(CSV)
    write(folder)
    assert pds("run", "p.yaml", "-q").code == 0
    return folder


def letters(pds, *more) -> list[dict]:
    return [json.loads(one) for one in pds("dlq", "show", *more, "--json").out.splitlines()]


def written(folder) -> list[dict]:
    parts = sorted(folder.glob("out-replay/*/part-*"))
    return [json.loads(line) for part in parts for line in part.read_text().splitlines()]


def test_letters_are_shown_with_what_is_needed_to_mend_them(pds, ran):
    said = pds("dlq", "show", "p.yaml")
    assert said.code == 0
    assert 't: "high" is not a int' in said.out or "high" in said.out
    assert "ValueError: no such device" in said.out
    assert "source a.csv, after the start" in said.out
    assert said.out.endswith("5 in .pds/dead/p/\n")
    assert "2 in" not in pds("dlq", "show", "p.yaml", "--limit", "1").out
    assert len(letters(pds, ".pds/dead/p", "--step", "checked")) == 1


def test_letters_go_through_the_pipeline_as_it_is_now(pds, ran):
    write(ran, type_="string", bad="nobody")
    said = pds("dlq", "replay", "p.yaml")
    assert said.code == 0, said.err
    assert said.out.startswith("5 replayed: 3 rows out in out-replay/")
    assert "2 failed again and stay dead letters" in said.out
    found = {(row["device_id"], row["n"], row["last"]) for row in written(ran)}
    assert found == {("bad", 1, "2"), ("b", 1, "high"), ("b", 1, "low")}
    left = letters(pds, "p.yaml")
    assert {one["encoding"] for one in left} == {"utf8", "base64"}
    assert any(base64.b64decode(one["payload"])[:1] == b"\xff" for one in left[1:] + left[:1]
               if one["encoding"] == "base64")  # fmt: skip
    assert all("a.csv" in one["position"] for one in left)


def test_nothing_is_replayed_twice(pds, ran):
    write(ran, type_="string", bad="nobody")
    pds("dlq", "replay", "p.yaml")
    before = written(ran)
    assert pds("dlq", "replay", "p.yaml").out.startswith("2 replayed: 0 rows out")
    assert written(ran) == before
    assert len(letters(pds, "p.yaml")) == 2


def test_only_the_letters_of_a_step(pds, ran):
    write(ran, bad="nobody")
    said = pds("dlq", "replay", "p.yaml", "--step", "checked")
    assert said.out.startswith("1 replayed: 1 row out")
    assert "4 left as they are" in said.out
    assert [row["device_id"] for row in written(ran)] == ["bad"]
    assert {one["step"] for one in letters(pds, "p.yaml")} == {"source"}
    assert pds("dlq", "replay", "p.yaml", "--step", "checked").out.startswith("nothing to replay")


def test_an_interrupted_replay_is_finished_by_the_next(pds, ran, monkeypatch):
    write(ran, type_="string", bad="nobody")

    def crash(self) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(replaying.Replay, "end", crash)
        assert pds("dlq", "replay", "p.yaml").code == 130
    assert len(letters(pds, "p.yaml")) == 5
    before = written(ran)
    assert len(before) == 3
    assert pds("dlq", "replay", "p.yaml").out.startswith("5 replayed")
    assert written(ran) == before
    assert len(letters(pds, "p.yaml")) == 2


def test_a_new_run_without_checkpoint_forgets_what_was_replayed(pds, ran):
    write(ran, bad="nobody")
    pds("dlq", "replay", "p.yaml", "--step", "checked")
    pds("run", "p.yaml", "-q")
    assert len(letters(pds, "p.yaml")) == 4


def test_the_pipeline_goes_on_beside_its_replays(pds, ran):
    run = ("run", "p.yaml", "--checkpoint", "cp", "-q")
    (ran / "p.yaml").write_text((ran / "p.yaml").read_text().replace("out/", "o/"))
    assert pds(*run).code == 0
    write(ran, type_="string", bad="nobody")
    assert pds("dlq", "replay", "p.yaml", "cp/dead").out.startswith("5 replayed")
    write(ran)
    (ran / "p.yaml").write_text((ran / "p.yaml").read_text().replace("out/", "o/"))
    assert pds(*run).code == 0


def test_letters_of_a_pipeline_that_keeps_none_are_nowhere(pds, folder):
    with (folder / "minutes.yaml").open("a") as file:
        file.write("on_error: skip\n")
    said = pds("dlq", "show", "minutes.yaml")
    assert said.code == 2
    assert "are in no folder" in said.err
    assert pds("dlq", "show", "nowhere/").code == 2


def test_no_letters_is_no_error(pds):
    assert pds("dlq", "show", "minutes.yaml").out == "no dead letters in .pds/dead/minutes/\n"
    assert pds("dlq", "replay", "minutes.yaml").out.startswith("nothing to replay")


def test_an_output_of_its_own_for_dead_letters(pds, ran):
    with (ran / "p.yaml").open("a") as file:
        file.write("on_error: {policy: dead_letter, output: {type: file, path: dead/}}\n")
    pds("run", "p.yaml", "-q")
    assert Letters.of(ran / "dead").frame().height == 5
    assert pds("dlq", "show", "p.yaml").out.endswith("5 in dead/\n")


def test_two_runs_of_one_name_keep_letters_apart_and_they_are_shown_together(pds, tmp_path):
    def opened():
        sink = letter_folder("twins", None)
        writer = sink.open(Write(LETTER_SCHEMA, "twins", "dead_letters"))
        writer.begin(1)
        return writer

    def put(writer, payload):
        row = {name: payload if name == "payload" else None for name in LETTER_SCHEMA}
        writer.write(pl.DataFrame([row], schema=LETTER_SCHEMA))
        writer.publish(1)

    first, second = opened(), opened()
    put(first, "one")
    put(second, "two")
    shown = letters(pds, ".pds/dead/twins")
    assert sorted(one["payload"] for one in shown) == ["one", "two"]
    first.close()
    second.close()
    put(third := opened(), "three")  # alone again: what the last run left is replaced
    third.close()
    assert sorted(one["payload"] for one in letters(pds, ".pds/dead/twins")) == ["three", "two"]
