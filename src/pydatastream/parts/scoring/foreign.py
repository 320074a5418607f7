"""Models of River and PySAD, made from their names; only classes of these two can be named."""

from __future__ import annotations

import ast
import importlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from pydatastream.core.errors import ConfigError

LIBRARIES = ("river", "pysad")
SEEDS = ("seed", "random_state")
"""Parameters that fix chance; they are 0 unless something else is given."""

Features = Mapping[str, Any]
Said = tuple[float | None, float | None]


class Foreign(Protocol):
    """A model that takes one row at a time."""

    def say(self, features: Features, target: Any) -> Said:
        """The score and the prediction, as far as the model gives them."""
        ...

    def learn(self, features: Features, target: Any) -> None:
        """Learn from the row."""
        ...


def made(text: str) -> Foreign:
    """The model that a text describes: `preprocessing.StandardScaler | anomaly.LODA(seed=1)`.

    Names are those of River without `river.`, or begin with `pysad.`; arguments are literals
    and further models. `ConfigError` if there is no such thing.
    """
    try:
        parts = [_built(node) for node in _parts(ast.parse(text.strip(), mode="eval").body)]
    except SyntaxError as error:
        raise ConfigError(f"model {text!r} cannot be read: {error.msg}", hint=_HINT) from None
    except (TypeError, ValueError) as error:
        raise ConfigError(f"model {text!r} cannot be made: {error}", hint=_HINT) from error
    if hasattr(parts[-1], "score_partial"):
        return _PySad(parts[-1])
    whole = parts[0]
    for part in parts[1:]:
        whole = whole | part
    return _river(whole, parts[-1], text)


_HINT = "such as `anomaly.HalfSpaceTrees(n_trees=25)`"


def _parts(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return [*_parts(node.left), *_parts(node.right)]
    return [node]


def _built(node: ast.expr) -> Any:
    """The object that a name, a call or a literal stands for."""
    if isinstance(node, ast.Name | ast.Attribute):
        return _instance(_found(ast.unparse(node)), [], {})
    if isinstance(node, ast.Call):
        named = {str(one.arg): _built(one.value) for one in node.keywords}
        return _instance(_found(ast.unparse(node.func)), [_built(one) for one in node.args], named)
    return ast.literal_eval(node)


def _instance(found: type, given: list[Any], named: dict[str, Any]) -> Any:
    takes = inspect.signature(found).parameters
    seeds = {name: 0 for name in SEEDS if name in takes and not given}
    return found(*given, **{**seeds, **named})


def _found(name: str) -> type:
    """The class of that name."""
    path = name if name.split(".")[0] in LIBRARIES else f"river.{name}"
    module, _, last = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), last, None)
    except ImportError as error:
        raise ConfigError(
            f"model {name!r} cannot be loaded: {error}",
            hint="pip install 'pydatastreamprocessor[river]', and a name such as anomaly.LODA",
        ) from error
    if not inspect.isclass(found) or found.__module__.split(".")[0] not in LIBRARIES:
        raise ConfigError(f"{path} is no model of River or PySAD", hint=_HINT)
    return found


class _PySad:
    """PySAD: arrays in, and it says nothing before it has seen a row."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def say(self, features: Features, target: Any) -> Said:  # noqa: ARG002
        return float(self._model.score_partial(np.array(list(features.values())))), None

    def learn(self, features: Features, target: Any) -> None:
        self._model.fit_partial(np.array(list(features.values())), target)


class _River(ABC):
    """What all of River's models share."""

    def __init__(self, model: Any) -> None:
        self._model = model

    @abstractmethod
    def say(self, features: Features, target: Any) -> Said:
        """The score and the prediction."""

    def learn(self, features: Features, target: Any) -> None:
        if target is None:
            self._model.learn_one(features)
        else:
            self._model.learn_one(features, target)


class _Detector(_River):
    def say(self, features: Features, target: Any) -> Said:
        given = () if target is None else (target,)
        return float(self._model.score_one(features, *given)), None


class _Classifier(_River):
    """Its score is the probability of 1, or true."""

    def say(self, features: Features, target: Any) -> Said:  # noqa: ARG002
        predicted = self._model.predict_one(features)
        chances = self._model.predict_proba_one(features)
        return chances.get(1, 0.0), None if predicted is None else float(predicted)


class _Predictor(_River):
    """Its score is how far off it was; without a target, what it says: the number of a cluster."""

    def say(self, features: Features, target: Any) -> Said:
        predicted = float(self._model.predict_one(features))
        return predicted if target is None else abs(predicted - target), predicted


def _river(whole: Any, last: Any, text: str) -> Foreign:
    """The model with the verbs of its last part."""
    kinds: dict[str, Callable[[Any], Foreign]] = {
        "score_one": _Detector,
        "predict_proba_one": _Classifier,
        "predict_one": _Predictor,
    }
    for verb, kind in kinds.items():
        if hasattr(last, verb):
            return kind(whole)
    raise ConfigError(f"{text!r} neither scores nor predicts", hint=_HINT)
