"""Dead letters where they lie: the files of a pipeline, and what a replay has done with them.

Beside a folder of letters `dead` is `dead-replay`, with a folder for each replay:

    taken/       the letters, moved here before anything else happens
    choice.json  which of them are replayed
    kept/        those that were not chosen
    again/       those that failed again
    done         written last: until then the next replay goes on with this one

A letter is in one place only. Whoever was interrupted anywhere can start again.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pydatastream.catalog import catalog
from pydatastream.core import durable
from pydatastream.core.dead import LETTER_SCHEMA
from pydatastream.core.errors import ConfigError
from pydatastream.core.sink import Sink
from pydatastream.core.source import Read
from pydatastream.pipeline import Pipeline
from pydatastream.planning.letter_folder import places_of, replays_of

YAML = (".yaml", ".yml", ".py")


@dataclass(frozen=True, slots=True)
class Replay:
    """One replay of letters, at work or done."""

    path: Path

    @property
    def done(self) -> bool:
        """Whether its letters are dealt with."""
        return (self.path / "done").exists()

    @property
    def step(self) -> str | None:
        """The step whose letters were chosen; None: all."""
        step: str | None = json.loads((self.path / "choice.json").read_text())["step"]
        return step

    def choose(self, step: str | None) -> None:
        """Remember which letters are replayed."""
        durable.make_directory(self.path / "taken")
        durable.replace(self.path / "choice.json", json.dumps({"step": step}).encode())

    def take(self, files: Iterable[Path]) -> None:
        """Move letters here."""
        for number, file in enumerate(files):
            durable.move(file, self.path / "taken" / f"{number:06d}-{file.name}")
        durable.settle_directory(self.path / "taken")

    def keep(self, letters: pl.DataFrame) -> None:
        """Write letters that are not replayed."""
        if letters.height:
            durable.make_directory(self.path / "kept")
            data = catalog().find("format", "json")().encoder(LETTER_SCHEMA).encode(letters)  # type: ignore[attr-defined]
            durable.replace(self.path / "kept" / "part-00000001-0.jsonl", data)

    def end(self) -> None:
        """The letters are dealt with."""
        durable.replace(self.path / "done", b"")


@dataclass(frozen=True, slots=True)
class Letters:
    """A folder of dead letters, or one file of them."""

    path: Path

    @classmethod
    def of(cls, place: Path) -> Letters:
        """Those of a pipeline file, or those at a path; `ConfigError` if there can be none."""
        if place.suffix in YAML:
            return cls.of_pipeline(Pipeline.load(place))
        if not place.exists():
            hint = "a pipeline file, or a folder of letters such as .pds/dead/<pipeline>"
            raise ConfigError("no such file or folder", where=str(place), hint=hint)
        return cls(place)

    @classmethod
    def of_pipeline(cls, pipeline: Pipeline) -> Letters:
        """Those of a pipeline, where it says they go."""
        sink: Sink | None = pipeline.settings().get("dead_letters")
        path = getattr(sink, "path", None)
        if path is None:
            what = sink.type_name() if sink else "`on_error:` sets none aside"
            raise ConfigError(
                f"the dead letters of this pipeline are in no folder: {what}",
                where=pipeline.declaration.where,
                hint="`on_error: {policy: dead_letter, output: {type: file, path: dead/}}`",
            )
        return cls(Path(path))

    def files(self) -> list[Path]:
        """The files whose letters wait, oldest first."""
        if self.path.is_file():
            return [self.path]
        waiting = [file for place in self._places() for file in _parts(place)]
        return sorted(waiting, key=lambda file: (file.stat().st_mtime_ns, file.name))

    def replays(self) -> list[Replay]:
        """Every replay so far."""
        return [Replay(one) for one in sorted(replays_of(self.path).glob("*")) if one.is_dir()]

    def new_replay(self) -> Replay:
        """A replay that has not begun, named after the time."""
        name = time.strftime("%Y%m%dT%H%M%S")
        taken = [one.path.name for one in self.replays()]
        names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
        return Replay(replays_of(self.path) / next(one for one in names if one not in taken))

    def frame(self) -> pl.DataFrame:
        """All letters that wait."""
        return read(self.files())

    def _places(self) -> Iterator[Path]:
        yield from places_of(self.path)
        for one in self.replays():
            yield from (one.path / "kept", one.path / "again") if one.done else [one.path / "taken"]


def read(files: Iterable[Path]) -> pl.DataFrame:
    """The letters in files."""
    return pl.concat([pl.DataFrame(schema=LETTER_SCHEMA), *map(_read, files)])


def _parts(place: Path) -> list[Path]:
    return [one for one in place.glob("*part-*") if one.name[0] != "." and one.is_file()]


def _read(file: Path) -> pl.DataFrame:
    options = {"path": os.fspath(file), "max_record": 1 << 26}
    source = catalog().find("source", "file").model_validate(options)
    form = catalog().find("format", source.format_hint() or "json")()  # type: ignore[attr-defined]
    source = source.model_copy(update={"format": form})
    (partition,) = source.partitions()
    reader = source.open(partition, Read(LETTER_SCHEMA))
    try:
        frames = [batch.rows for batch in reader if batch is not None]
    finally:
        reader.close()
    return pl.concat([pl.DataFrame(schema=LETTER_SCHEMA), *frames])
