"""Descriptions made from what a user's program gives, and their servers reached, or one message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from pydatastream.apps.settings import Settings
from pydatastream.catalog import Kind, catalog
from pydatastream.config.descriptions import BadOption, describe
from pydatastream.core.component import Component
from pydatastream.core.errors import ConfigError, RetryLater
from pydatastream.planning.ingest import formatted

C = TypeVar("C", bound=Component)


def own(cls: type[C], word: str, options: dict[str, Any], origin: object = None) -> C:
    """The options that a class has, taken out of others; errors as from `described`."""
    mine = {key: options.pop(key) for key in list(options) if key in cls.model_fields}
    with _placed(origin):
        return describe(cls, mine, word)


def described(kind: Kind, word: str, options: Mapping[str, Any], origin: object = None) -> Any:
    """The component of that type with these options; `ConfigError` if they do not fit.

    Where they come from `Settings`, that is the `origin`, and the error says the place.
    """
    given = {name: value for name, value in options.items() if value is not None}
    with _placed(origin):
        return formatted(describe(catalog().find(kind, word), given))


@contextmanager
def _placed(origin: object) -> Iterator[None]:
    try:
        yield
    except BadOption as error:
        if isinstance(origin, Settings):
            error.at(origin.place(*error.path))
        raise


def reached(component: Any, hint: str) -> None:
    """Connect and look, once; `ConfigError` with the hint where nobody answers."""
    try:
        component.check()
    except RetryLater as error:
        raise ConfigError(error.what, hint=hint) from None
