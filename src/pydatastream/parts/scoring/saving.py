"""Models in files: the state of a detector as safetensors, and a detector that begins with one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from pydatastream.core.durable import replace
from pydatastream.core.errors import ConfigError
from pydatastream.core.state import State
from pydatastream.parts.tensors.frames import frame_of, schema_of, schema_text, tensors_of
from pydatastream.parts.tensors.safetensors import packed, unpacked

MADE_BY, VALUES, FRAMES = "made_by", "values", "frames"
VERSION = "version"
"""Among the values of a state: the model it began with, which is written beside every score."""


class SavedModel(NamedTuple):
    """What a file of a model holds."""

    made_by: dict[str, Any]
    """The options that the model was made with, and the step's type."""
    frames: dict[str, pl.DataFrame]
    values: dict[str, Any]
    digest: str
    """Of the file's content."""


def save_model(path: Path, state: State, made_by: dict[str, Any]) -> None:
    """Write what a detector has learnt into a file, durably and in place of one before.

    Every column of its state is an array, named `frame/column`, that any reader of safetensors
    can open; keys are texts as bytes.
    """
    frames = {name: rows for name in state.names() if (rows := state.frame(name)) is not None}
    tensors = {
        f"{name}/{column}": array
        for name, rows in frames.items()
        for column, array in tensors_of(rows).items()
    }
    schemas = {name: schema_text(rows.schema) for name, rows in frames.items()}
    texts = {MADE_BY: made_by, VALUES: state.values, FRAMES: schemas}
    replace(path, packed(tensors, {k: json.dumps(v, sort_keys=True) for k, v in texts.items()}))


def read_model(path: Path) -> SavedModel:
    """What a file holds; `ConfigError` if it is no saved model."""
    try:
        content = path.read_bytes()
        tensors, texts = unpacked(content)
        made_by, values, schemas = (json.loads(texts[k]) for k in (MADE_BY, VALUES, FRAMES))
        frames = {
            name: frame_of(
                schema_of(text),
                {
                    k.removeprefix(f"{name}/"): v
                    for k, v in tensors.items()
                    if k.startswith(f"{name}/")
                },
            )
            for name, text in schemas.items()
        }
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from None
    except ConfigError as error:
        raise error.at(str(path)) from None
    except (KeyError, ValueError, TypeError, pl.exceptions.PolarsError) as error:
        raise ConfigError(f"this is no model of ours: {error}", where=str(path)) from None
    return SavedModel(made_by, frames, values, hashlib.blake2b(content, digest_size=4).hexdigest())


def begin_with(path: Path, state: State, made_by: dict[str, Any]) -> None:
    """Fill a state that is new with a saved model; `ConfigError` if it was made otherwise."""
    model = read_model(path)
    if model.made_by != made_by:
        raise ConfigError(
            f"this model was made with {json.dumps(model.made_by)}, "
            f"and the step says {json.dumps(made_by)}",
            where=str(path),
            hint="the same options as when it was saved",
        )
    for name, rows in model.frames.items():
        state.put(name, rows)
    state.values.update(model.values)
    state.values[VERSION] = f"{made_by['type']}-{model.digest}"
