"""Custom functions: Python files that a pipeline lists become steps of it.

A function takes the rows as a DataFrame and its arguments by keyword, and gives a DataFrame. If
its first parameter is annotated as a dict, or named `row`, it takes one row and gives one row.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pydatastream.config.declaration import Custom, Declaration, Declared
from pydatastream.config.descriptions import shown
from pydatastream.core.errors import ConfigError, nearest

Function = Callable[..., Any]
_ROW_TYPES = ("dict", "Dict", "typing.Dict", "Mapping", "typing.Mapping")


@dataclass(frozen=True, slots=True)
class Call:
    """A custom step, bound: the function, its arguments, and what it takes."""

    function: Function
    args: dict[str, Any]
    row_by_row: bool
    origins: Mapping[str, str]


def load(declaration: Declaration) -> dict[str, Function]:
    """Every public function of the listed files; this runs them."""
    found: dict[str, Function] = {}
    for file in declaration.functions:
        for name, function in _functions(declaration, file).items():
            if found.setdefault(name, function) is not function:
                raise ConfigError(f"two functions are called {name!r}", where=str(file))
    return found


def call(step: Declared[Custom], functions: Mapping[str, Function]) -> Call:
    """The function that a step names, with its arguments checked against its parameters."""
    name = step.component.function
    if name not in functions:
        raise ConfigError(f"no function is called {name!r}", hint=nearest(name, functions))
    function = functions[name]
    first, *rest = _parameters(function, name)
    overrides = {key: one for key, one in step.overrides.items() if key in _names(rest)}
    given = dict(step.component.args) | {key: one.value for key, one in overrides.items()}
    origins = {f"args.{key}": one.origin for key, one in overrides.items()}
    return Call(function, _arguments(name, rest, given), _takes_row(first), origins)


def _functions(declaration: Declaration, file: str) -> dict[str, Function]:
    try:
        return _public(declaration.folder / file)
    except ConfigError as error:
        raise error.at(declaration.where or "pipeline") from error.__cause__


def _public(path: Path) -> dict[str, Function]:
    module = executed(path)
    return {
        name: value
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and name[0] != "_"
    }


def executed(path: Path) -> Any:
    """The module that a Python file makes; `ConfigError` with its line if it fails."""
    if path.suffix != ".py" or not path.is_file():
        raise ConfigError(f"no Python file {path}", hint="files are relative to the pipeline file")
    name = f"pds_functions_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{type(error).__name__}: {error}", where=_line(error, path)) from error
    return module


def _line(error: BaseException, path: Path) -> str:
    trace, line = error.__traceback__, getattr(error, "lineno", None)
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"{path}:{line}" if line else str(path)


def _parameters(function: Function, name: str) -> list[inspect.Parameter]:
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters:
        raise ConfigError(f"{name} takes no rows", hint=f"def {name}(rows: pl.DataFrame): ...")
    return parameters


def _takes_row(first: inspect.Parameter) -> bool:
    annotation = first.annotation
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return first.name == "row" or text.split("[")[0].strip() in _ROW_TYPES


def _names(parameters: list[inspect.Parameter]) -> list[str]:
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [one.name for one in parameters if one.kind in named]


def _arguments(
    name: str, parameters: list[inspect.Parameter], given: dict[str, Any]
) -> dict[str, Any]:
    known = _names(parameters)
    open_ended = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)
    for key in given:
        if key not in known and not open_ended:
            raise ConfigError(f"{name} has no argument {key!r}", hint=nearest(key, known))
    for one in parameters:
        if one.name in known and one.default is one.empty and one.name not in given:
            raise ConfigError(f"{name} needs the argument {one.name!r}")
    by_name = {one.name: one for one in parameters if one.name in known}
    return {key: _converted(name, by_name.get(key), value) for key, value in given.items()}


_WORDS = {"int": int, "float": float, "bool": bool, "str": str}


def _converted(name: str, parameter: inspect.Parameter | None, value: Any) -> Any:
    """Text becomes what the annotation, or else the default, says it should be."""
    if parameter is None or not isinstance(value, str):
        return value
    wanted = parameter.annotation
    wanted = _WORDS.get(wanted, wanted) if isinstance(wanted, str) else wanted
    if wanted is parameter.empty and parameter.default is not parameter.empty:
        wanted = type(parameter.default)
    if wanted not in _WORDS.values():
        return value
    try:
        return TypeAdapter(wanted).validate_python(value.strip() if wanted is not str else value)
    except ValidationError:
        raise ConfigError(
            f"{name}: {parameter.name} must be of type {wanted.__name__}, found {shown(value)}"
        ) from None
