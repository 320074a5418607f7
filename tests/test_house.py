"""The house keeps its shape: sizes, imports, and what every component must say of itself."""

import ast
import json
import statistics
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from pydatastream import reference
from pydatastream.catalog import catalog

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src" / "pydatastream"
FILES = sorted(SRC.rglob("*.py"))
ROOMS = ("connectors", "formats", "operators", "ml")

CONNECTORS = [*catalog().all("source"), *catalog().all("sink")]
COMPONENTS = [*CONNECTORS, *catalog().all("format"), *catalog().all("operator")]

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DEPENDENCIES = {line.split(">")[0].lower() for line in PROJECT["dependencies"]}
CORE_LIBRARIES = (DEPENDENCIES - {"pyyaml"}) | {"yaml"}
"""What is installed with the bare wheel, by the name it is imported under."""

FRONT_DOOR_LIBRARIES = {"typer", "rich"}
"""Those that only the front doors load at import: a room is loaded by every run."""

PAGE_LIBRARIES = {"streamlit"}
"""What the page of the dashboard is made with; only Streamlit itself loads it."""

BANNED_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
BANNED_CALLS = {"eval", "exec", "compile", "__import__"}
BANNED_NAMES = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}


def label(component: type) -> str:
    return f"{component.kind}-{component.type_name()}"


Function = ast.FunctionDef | ast.AsyncFunctionDef


def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(), str(file))


def place(file: Path, node: ast.AST | None = None) -> str:
    line = f":{node.lineno}" if node is not None else ""
    return f"{file.relative_to(ROOT)}{line}"


def functions(module: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(module) if isinstance(node, Function))


def is_stub(body: list[ast.stmt]) -> bool:
    only = body[0].value if len(body) == 1 and isinstance(body[0], ast.Expr) else None
    return not body or (isinstance(only, ast.Constant) and only.value is ...)


def body_lines(function: Function) -> int | None:
    """Lines of the body without its docstring; None for a declaration without one."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return None if is_stub(body) else body[-1].end_lineno - body[0].lineno + 1


def imported(node: ast.AST) -> list[str]:
    """The top-level packages an import statement names; our own for a relative one."""
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return ["pydatastream" if node.level else str(node.module).split(".")[0]]
    return []


def is_for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def run_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when a module is imported."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, Function | ast.Lambda) and not is_for_types_only(child):
            yield child
            yield from run_at_import(child)


def is_own_or_standard(package: str) -> bool:
    return package == "pydatastream" or package in sys.stdlib_module_names


# Sizes


def test_no_file_is_long():
    long = [
        f"{place(file)}: {lines} lines, at most {limit_of(file)}"
        for file in FILES
        if (lines := len(file.read_text().splitlines())) > limit_of(file)
    ]
    assert not long, "split by meaning:\n" + "\n".join(long)


def limit_of(file: Path) -> int:
    return 130 if SRC / "core" in file.parents else 300


def test_no_function_is_long():
    long = [
        f"{place(file, function)} {function.name}: {lines} lines"
        for file in FILES
        for function in functions(tree(file))
        if (lines := body_lines(function) or 0) > 40
    ]
    assert not long


def test_most_functions_are_very_short():
    bodies = [body_lines(function) for file in FILES for function in functions(tree(file))]
    assert statistics.median(lines for lines in bodies if lines is not None) <= 6


def test_names_say_something():
    parts = {part for file in FILES for part in file.relative_to(SRC).with_suffix("").parts}
    assert not parts & BANNED_NAMES


# Imports


def test_importing_a_module_loads_only_core_libraries():
    wrong = [
        f"{place(file, node)} {package}"
        for file in FILES
        for node in run_at_import(tree(file))
        for package in imported(node)
        if not is_own_or_standard(package) and package not in allowed_at_import(file)
    ]
    assert not wrong, "a client library is imported where it is opened"


def allowed_at_import(file: Path) -> set[str]:
    room = file.relative_to(SRC).parts[0]
    if room == "dashboard":
        return CORE_LIBRARIES | PAGE_LIBRARIES
    in_room = room in ROOMS
    return CORE_LIBRARIES - FRONT_DOOR_LIBRARIES if in_room else CORE_LIBRARIES


def test_no_function_imports_what_a_module_could():
    wrong = [
        f"{place(file, node)} {package}"
        for file in FILES
        for function in functions(tree(file))
        for node in ast.walk(function)
        for package in imported(node)
        if is_own_or_standard(package)
    ]
    assert not wrong, "an import inside a function hides a cycle"


def test_nothing_runs_code_from_data():
    wrong = [
        f"{place(file, node)} {ast.unparse(node)}"
        for file in FILES
        for node in ast.walk(tree(file))
        if set(imported(node)) & BANNED_MODULES or called(node) in BANNED_CALLS
    ]
    assert not wrong


def called(node: ast.AST) -> str | None:
    is_plain_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    return node.func.id if is_plain_call else None


# What a component says of itself


@pytest.mark.parametrize("component", COMPONENTS, ids=label)
def test_a_component_explains_itself_in_one_line(component):
    first = (component.__doc__ or "").splitlines()[0]
    assert first.endswith(".")
    assert len(first) <= 80


@pytest.mark.parametrize("component", COMPONENTS, ids=label)
def test_every_option_is_explained(component):
    unexplained = [option.name for option in reference.options(component) if not option.meaning]
    assert not unexplained


@pytest.mark.parametrize("component", COMPONENTS, ids=label)
def test_a_component_has_an_example_of_itself(component):
    assert component.type_name() in json.dumps(yaml.safe_load(component.example))


@pytest.mark.parametrize("connector", CONNECTORS, ids=label)
def test_a_connector_says_what_it_promises(connector):
    assert reference.delivery_text(connector), "a paragraph that starts with `Delivery:`"


@pytest.mark.parametrize("component", COMPONENTS, ids=label)
def test_a_component_prints_and_serialises(component):
    schema = component.model_json_schema()
    assert json.loads(json.dumps(schema)) == schema
