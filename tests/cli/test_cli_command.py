"""The command as a whole: help, exit codes, and no traceback ever."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pydatastream.cli import endings, verbs
from pydatastream.core.errors import ConfigError, StopError


def command(folder: Path, *arguments: str, **more) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "pydatastream", *arguments]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, **more)


def test_the_help_names_every_verb_and_imports_none(tmp_path):
    asked = "import sys; sys.argv = ['pds']; from pydatastream.cli import main\n"
    listed = (
        "print('loaded', [one for one in sys.modules if 'cli.commands' in one or one == 'polars'])"
    )
    text = f"{asked}try:\n    main()\nexcept SystemExit:\n    pass\n{listed}"
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "loaded []" in done.stdout
    assert all(f"\n  {name} " in done.stdout for name in verbs.verb_names())


@pytest.mark.parametrize("file", sorted(verbs.FOLDER.glob("[a-z]*.py")), ids=lambda file: file.stem)
def test_the_line_of_a_verb_fits_on_a_line(file):
    first = (ast.get_docstring(ast.parse(file.read_text())) or "").partition("\n")[0]
    assert first.endswith(".")
    assert len(first) <= 80


@pytest.mark.parametrize("name", verbs.verb_names())
def test_a_verb_explains_itself(pds, name):
    said = pds(name, "--help")
    assert said.code == 0
    assert said.out.startswith(f"Usage: pds {name}")


def test_an_unknown_verb_names_the_nearest(pds):
    said = pds("runn")
    assert said.code == 2
    assert "did you mean 'run'?" in said.err


def test_a_missing_file_is_one_message(pds):
    for verb in ("run", "check", "explain", "show", "test"):
        said = pds(verb, "nowhere.yaml")
        assert (said.code, said.out) == (2, "")
        assert said.err == "error: nowhere.yaml: cannot be read: No such file or directory\n"


def test_an_error_in_the_file_has_its_place(pds, folder):
    (folder / "bad.yaml").write_text("source: {type: fil, path: x}\n")
    said = pds("run", "bad.yaml")
    assert said.code == 2
    assert said.err.startswith("error: bad.yaml:1:16: no source is called 'fil'")


def test_an_engine_that_is_not_there_is_refused(pds):
    assert (
        "error: there is no engine 'spork'" in pds("run", "minutes.yaml", "--engine", "spork").err
    )


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ConfigError("no", where="a.yaml:1:2"), 2, "error: a.yaml:1:2: no\n"),
        (StopError("halt", hint="go"), 1, "error: halt\n  try: go\n"),
        (PermissionError(13, "Permission denied", "/x"), 1, "error: /x: Permission denied\n"),
        (
            MemoryError(),
            1,
            "error: not enough memory\n  try: smaller batches, --batch-rows 10000\n",
        ),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_every_kind_of_end_has_its_code(error, code, words, capsys):
    assert endings.ended(error) == code
    assert capsys.readouterr().err == words


def test_a_closed_pipe_is_no_failure(tmp_path):
    text = """
from pydatastream.cli.endings import ended
from pydatastream.core.errors import SinkClosed
raise SystemExit(ended(SinkClosed("")))"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_defect_leaves_its_traceback_in_a_file(folder, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pds", "run", "x.yaml"])
    monkeypatch.delenv(endings.DEBUG, raising=False)
    with pytest.raises(ZeroDivisionError) as raised:
        raise ZeroDivisionError("division by zero\nmore")
    assert endings.ended(raised.value) == 1
    said = capsys.readouterr().err
    (kept,) = folder.glob(".pds/crash-*.txt")
    assert said.startswith("error: this is a defect of pds: ZeroDivisionError: division by zero\n")
    assert str(kept.name) in said
    assert "Traceback" not in said
    assert "Traceback" in kept.read_text()
    assert "pds run x.yaml" in kept.read_text()


def test_a_defect_shows_its_traceback_to_who_asks(folder, capsys, monkeypatch):
    monkeypatch.setenv(endings.DEBUG, "1")
    endings.ended(ZeroDivisionError("division by zero"))
    assert "ZeroDivisionError: division by zero\n" in capsys.readouterr().err
    assert not (folder / ".pds").exists()


def test_the_version_is_that_of_the_package(tmp_path):
    done = command(tmp_path, "--version", env={**os.environ})
    assert done.stdout.startswith("pds ")
