"""What a pipeline says of how it is run, in an engine's words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydatastream.config.declaration import BatchLimits, Declaration
from pydatastream.core.times import micros
from pydatastream.planning.ingest import formatted
from pydatastream.planning.letter_folder import LetterFolder, letter_folder, on_demand
from pydatastream.planning.sharing import check_unkept, is_shared


def settings(declaration: Declaration, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The settings of a run; what is `given` wins over what the pipeline says.

    Dead letters that are to be kept go to the output of `on_error`, or else to a folder that is
    made for the first one.
    """
    found = {**_said(declaration), **_read(given or {})}
    check_unkept(declaration, found.get("checkpoint"))
    unkept = found.get("dead_letters") is None
    if unkept and found.get("on_error", "dead_letter") == "dead_letter":
        found["dead_letters"] = letter_folder(declaration.name, found.get("checkpoint"))
    letters = found.get("dead_letters")
    if isinstance(letters, LetterFolder) and is_shared(declaration):
        found["dead_letters"] = letters.model_copy(update={"apart": True})
    return found


def _said(declaration: Declaration) -> dict[str, Any]:
    found: dict[str, Any] = {"delivery": declaration.delivery}
    if declaration.checkpoint:
        kept = declaration.checkpoint.component
        found |= {"checkpoint": Path(kept.path), "interval": micros(kept.interval)}
    if declaration.on_error:
        policy = declaration.on_error.component
        found |= {"on_error": policy.policy, "dead_letters": on_demand(formatted(policy.output))}
    limits = declaration.batch.component if declaration.batch else BatchLimits()
    return found | {key: value for key, value in limits if value is not None}


def _read(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with durations and paths as an engine takes them."""
    found = dict(given)
    if isinstance(found.get("interval"), str):
        found["interval"] = micros(found["interval"])
    if isinstance(found.get("checkpoint"), str):
        found["checkpoint"] = Path(found["checkpoint"])
    return found
