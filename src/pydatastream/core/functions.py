"""User functions: named in a pipeline file, checked before the run, called with care."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import PlainSerializer, WithJsonSchema

from pydatastream.core.errors import ConfigError, PdsError, RowError, nearest

Functions = Mapping[str, Callable[..., Any]]
"""User functions by name, from the Python files that a pipeline lists."""

NOT_OURS = (PdsError, KeyboardInterrupt, MemoryError)
"""What a call lets through as it is: it is not the function's fault, or meant for the engine."""


def function_name(function: str | Callable[..., Any]) -> str:
    """The word for a function, as a pipeline file would name it.

    >>> function_name(len), function_name("scale")
    ('len', 'scale')
    """
    if isinstance(function, str):
        return function
    return getattr(function, "__name__", type(function).__name__)


Function = Annotated[
    str | Callable[..., Any],
    PlainSerializer(function_name, return_type=str),
    WithJsonSchema({"type": "string"}),
]
"""A field that takes a Python function, or the name of one from the pipeline's files."""


def find(function: str | Callable[..., Any], functions: Functions) -> Callable[..., Any]:
    """The function of that name, or `ConfigError` with the nearest one."""
    if callable(function):
        return function
    if function not in functions:
        hint = nearest(function, functions) or "list its file: `functions: [my_steps.py]`"
        raise ConfigError(f"no function is called {function!r}", hint=hint)
    return functions[function]


def check_call(function: Callable[..., Any], args: Mapping[str, Any]) -> None:
    """Raise `ConfigError` if the function cannot be called with one value and these arguments."""
    try:
        inspect.signature(function).bind(None, **args)
    except TypeError as error:
        raise ConfigError(
            f"function {function_name(function)!r} cannot be called so: {error}",
            hint=f"it is defined as {function_name(function)}{inspect.signature(function)}",
        ) from None
    except ValueError:
        return  # written in C without a signature: the call itself will tell


def call(function: Callable[..., Any], value: Any, args: Mapping[str, Any]) -> Any:
    """What the function gives; whatever it raises comes out as `RowError`.

    That includes `exit()` and a panic of Polars, neither of which is an `Exception`.
    """
    try:
        return function(value, **args)
    except NOT_OURS:
        raise
    except SystemExit as error:
        told = f"called exit({error.code if error.code is not None else ''})"
        raise RowError(_blamed(function, told, error)) from error
    except BaseException as error:
        told = f"raised {type(error).__name__}: {_line(error)}"
        raise RowError(_blamed(function, told, error)) from error


def _blamed(function: Callable[..., Any], told: str, error: BaseException) -> str:
    return f"function {function_name(function)!r} {told}{_place(function, error)}"


def _line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), "no message")


def _place(function: Callable[..., Any], error: BaseException) -> str:
    """The deepest line that the function's own file has in the traceback."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if code and frame.filename == code.co_filename]
    return f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""
