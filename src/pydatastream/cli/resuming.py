"""Whether a pipeline can go on from a checkpoint, and what it would lose."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from pydatastream.checkpoints import Checkpoint, Saved
from pydatastream.core.errors import ConfigError
from pydatastream.core.plan import Plan
from pydatastream.core.state import Snapshot


def resumed(plan: Plan, checkpoint: Path) -> str:
    """One line if it is safe to go on; `ConfigError` listing what a changed plan would lose."""
    saved = remembered(checkpoint)
    if saved.fingerprint in (None, plan.fingerprint()):
        return f"against {checkpoint}: safe, a run goes on after epoch {saved.epoch}"
    lost = "".join(f"\n    {one}" for one in _held(plan, saved))
    raise ConfigError(
        "loses: sources or steps have changed since epoch "
        f"{saved.epoch} (plan {plan.fingerprint()}, checkpoint {saved.fingerprint}); "
        f"the checkpoint holds{lost}",
        where=str(checkpoint),
        hint="undo the change, or start afresh with another `checkpoint: {path: ...}`",
    )


def remembered(checkpoint: Path) -> Saved:
    """What a checkpoint remembers; `ConfigError` if there is none."""
    if not (checkpoint / "checkpoint.db").is_file():
        raise ConfigError("there is no checkpoint", where=str(checkpoint))
    try:
        return Checkpoint.peek(checkpoint)
    except sqlite3.DatabaseError as error:
        raise ConfigError(f"cannot be read: {error}", where=str(checkpoint)) from None


def _held(plan: Plan, saved: Saved) -> Iterator[str]:
    """What the checkpoint remembers, by source and step, and whether the plan has them still."""
    sources, steps = ({node.name for node in nodes} for nodes in (plan.sources, plan.steps))
    for name, partitions in saved.offsets.items():
        gone = "" if name in sources else ", which is gone"
        yield f"source {name}{gone}: the position in {len(partitions)} partition(s)"
    for name, snapshot in saved.states.items():
        if rows := _rows(snapshot):
            gone = "" if name in steps else ", which is gone"
            yield f"step {name}{gone}: {rows:,} rows of state"


def _rows(snapshot: Snapshot) -> int:
    return sum(segment.rows.height for segments in snapshot.frames.values() for segment in segments)
