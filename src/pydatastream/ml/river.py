"""Any model of River or PySAD as a step, one row at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import polars as pl
from pydantic import Field

from pydatastream.core.errors import PdsError, RowError
from pydatastream.core.operator import Flow, Names
from pydatastream.core.state import State
from pydatastream.parts.scoring.detector import Detector
from pydatastream.parts.scoring.foreign import Features, Foreign, Said, made
from pydatastream.parts.scoring.values import Algorithm, Form, known
from pydatastream.parts.windows.keyed import EVERYTHING

ROWS, AT = "rows", "__at"
MOST_FRAMES = 64


class River(Detector):
    """Score or predict with any model of River or PySAD, row by row. Slow.

    Adds `score`: that of a detector, the probability of 1 (or true) of a classifier, how far
    off a regressor was, the number of a cluster. With `target` also `predicted`, a number (1 or
    0 for true and false); the model learns from the target after predicting, and not from rows
    where it is missing. The first row of a key gets neither.

    These models cannot be stored safely, so it is rows that are: a key's model in service has
    learnt the last `memory` to 2 * `memory` rows, and is made again from them after a restart.
    Each row is therefore learnt twice. State: up to 2 * `memory` rows per key. Parameters named
    seed or random_state are 0 unless given; a model that draws from elsewhere (some of PySAD's)
    does not give the same scores after a restart.

    A row costs what the model costs, and little more: River's Half-Space Trees score some
    36,000 rows a second, with fewer trees than ours, which score 450,000 (measured in one run).
    """

    primary: ClassVar[str | None] = "model"
    example: ClassVar[str] = (
        "- river: {model: anomaly.HalfSpaceTrees(n_trees=5), columns: [temperature], memory: 300}"
    )

    model: str
    """The model, in River's names without `river.`; parts are joined by `|`."""
    columns: Names = Field(min_length=1)
    """The features; text is allowed if the model takes it."""
    target: str | None = None
    """The column to predict, a number or true and false."""
    memory: int = Field(10_000, gt=0)
    """So many of the last rows at least has a model learnt."""
    max_keys: int = Field(1_000, gt=0)
    """So many keys have a model. Of more, those that come least are forgotten: one that comes
    again begins anew."""

    def check(self) -> None:
        super().check()
        made(self.model)

    def value_columns(self, given: Flow) -> Sequence[str]:  # noqa: ARG002
        return [*self.columns, *([self.target] if self.target else [])]

    def number_columns(self, given: Flow) -> Sequence[str]:  # noqa: ARG002
        return [self.target] if self.target else []

    def reads(self, needed: frozenset[str] | None) -> frozenset[str] | None:
        if needed is None:
            return None
        own = {*self.columns, *self.by, *([self.target] if self.target else [])}
        return needed - self.added().keys() | own

    def adds(self) -> Mapping[str, pl.DataType]:
        return {"predicted": pl.Float64()} if self.target else {}

    def form(self, given: Flow) -> Form:
        texts = frozenset(name for name in self.columns if given.schema[name] == pl.String)
        return RawForm(tuple(self.by), tuple(self.columns), None, self.learn, texts, self.target)

    def algorithm(self, form: Form) -> Algorithm:
        made(self.model)
        return RowByRow(form, tuple(self.columns), self.target, self.model, self.memory)


@dataclass(frozen=True, slots=True)
class RawForm(Form):
    """Features as they are, and the target, which may be missing."""

    texts: frozenset[str] = frozenset()
    target: str | None = None

    def of(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Keys, features, target."""
        features = [
            pl.col(column).cast(pl.String if column in self.texts else pl.Float64).alias(name)
            for column, name in zip(self.columns, self.values, strict=True)
        ]
        target = pl.col(self.target) if self.target else pl.lit(None, pl.Boolean)
        if self.target and rows.schema[self.target].is_float():
            target = pl.when(target.is_finite()).then(target)
        return rows.select(*(self.by or (EVERYTHING,)), *features, target.alias("__target"))

    def usable(self) -> pl.Expr:
        """Whether no feature is missing."""
        pairs = zip(self.columns, self.values, strict=True)
        return pl.all_horizontal(
            pl.col(name).is_not_null() if column in self.texts else known(name)
            for column, name in pairs
        )


@dataclass(slots=True)
class Served:
    """The model in service of one key, the one that will follow it, and the rows learnt so far."""

    make: Callable[[], Foreign]
    memory: int
    count: int = 0
    serving: Foreign = field(init=False)
    following: Foreign | None = None

    def __post_init__(self) -> None:
        self.serving = self.make()

    def learn(self, features: Features, target: Any) -> None:
        """Learn from a row; after every `memory` rows the next takes over, and one begins."""
        self.serving.learn(features, target)
        if self.following:
            self.following.learn(features, target)
        self.count += 1
        if self.count % self.memory == 0:
            self.serving = self.following or self.serving
            self.following = self.make()


@dataclass(slots=True)
class RowByRow(Algorithm):
    """State: `rows`, those that the models have learnt. The models follow from them."""

    form: Form
    columns: tuple[str, ...]
    target: str | None
    model: str
    memory: int
    live: dict[tuple[Any, ...], Served] = field(default_factory=dict)

    def score(self, values: pl.DataFrame, state: State) -> pl.DataFrame:
        """What the models say; a row they fail on leaves them as they were."""
        if not self.live:
            self._replay(state.frame(ROWS))
        try:
            said, at = self._said(values)
        except BaseException as error:
            self.live.clear()
            if isinstance(error, PdsError) or not isinstance(error, Exception):
                raise
            raise RowError(f"model {self.model} raised {type(error).__name__}: {error}") from error
        if self.form.learn:
            learnt = values.with_columns(pl.Series(AT, at, pl.Int64)).drop_nulls(AT)
            state.append(ROWS, learnt)
            self._prune(state)
        columns = {"score": pl.Float64, "predicted": pl.Float64}
        found = pl.DataFrame(said, schema=columns, orient="row")
        return found.select(pl.when(pl.all().is_finite()).then(pl.all()))

    def forget(self, keys: pl.DataFrame) -> None:
        """Let go of their models."""
        for key in keys.iter_rows():
            self.live.pop(key, None)

    def _said(self, values: pl.DataFrame) -> tuple[list[Said], list[int | None]]:
        """What is said of each row, and its number among those learnt, if it is."""
        said, at = list[Said](), list[int | None]()
        for key, features, target, _ in self._each(values.with_columns(pl.lit(0).alias(AT))):
            one = self._of(key)
            said.append(one.serving.say(features, target) if one.count else (None, None))
            learns = self.form.learn and (self.target is None or target is not None)
            at.append(one.count if learns else None)
            if learns:
                one.learn(features, target)
        return said, at

    def _replay(self, rows: pl.DataFrame | None) -> None:
        for key, features, target, at in self._each(rows) if rows is not None else ():
            self._of(key, at).learn(features, target)

    def _each(self, rows: pl.DataFrame) -> Iterator[tuple[tuple[Any, ...], Features, Any, int]]:
        keys = len(self.form.keys)
        for row in rows.iter_rows():
            features = dict(zip(self.columns, row[keys:-2], strict=True))
            yield row[:keys], features, row[-2], row[-1]

    def _of(self, key: tuple[Any, ...], at: int = 0) -> Served:
        if key not in self.live:
            self.live[key] = Served(partial(made, self.model), self.memory, at)
        return self.live[key]

    def _prune(self, state: State) -> None:
        """Forget rows that no model has learnt; join frames when they have become many."""
        last = pl.col(AT).max().over(self.form.keys) + 1
        needed = pl.col(AT) >= (last // self.memory - 1) * self.memory
        newest = state.frames(ROWS)[-1]
        turned = (newest[AT] + 1) % self.memory == 0
        if turned.any() or len(state.frames(ROWS)) >= MOST_FRAMES:
            state.put(ROWS, pl.concat(state.frames(ROWS)).filter(needed))
