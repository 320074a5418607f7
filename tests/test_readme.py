"""What the README says happens, happens."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pydatastream.cli.verbs import verb_names

README = (Path(__file__).parents[1] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def shell(command: str, folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-euc", command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def rows(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


@pytest.fixture
def folder(tmp_path):
    shell(blocks("sh")[0], tmp_path)
    (tmp_path / "minutes.yaml").write_text(blocks("yaml")[0])
    (tmp_path / "minutes.py").write_text(blocks("python")[0])
    return tmp_path


def test_the_pipeline_in_yaml_gives_the_rows_shown(folder):
    assert rows(shell(blocks("sh")[1], folder)) == rows(blocks("json")[0])


def test_the_pipeline_in_python_gives_the_same_rows(folder):
    shell("python minutes.py", folder)
    assert rows(shell("cat out/part-*", folder)) == rows(blocks("json")[0])


def test_the_tests_shown_pass(folder):
    with (folder / "minutes.yaml").open("a") as file:
        file.write(blocks("yaml")[1])
    assert "1 test passed" in shell(blocks("sh")[2], folder)


def test_every_verb_named_is_one():
    named = set(re.findall(r"`pds ([a-z]+)", README))
    assert {"demo", "run", "dlq"} <= named <= set(verb_names())


def test_every_link_leads_somewhere():
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    missing = [link for link in links if not (Path(__file__).parents[1] / link).exists()]
    assert links
    assert not missing


def test_every_make_target_named_exists():
    makefile = (Path(__file__).parents[1] / "Makefile").read_text()
    named = set(re.findall(r"make ([a-z-]+)", README))
    assert all(f"\n{target}:" in makefile for target in named)
