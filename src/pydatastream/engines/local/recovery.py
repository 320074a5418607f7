"""What must hold before a run may go on from a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pydatastream.checkpoints import Checkpoint, Saved
from pydatastream.core.errors import BeginAgain, CheckpointError, SinkLost
from pydatastream.core.plan import Plan
from pydatastream.engines.local.outlets import Outlet


def check_plan(store: Checkpoint, plan: Plan) -> None:
    """The state may only be resumed by the plan that wrote it."""
    known, now = store.fingerprint(), plan.fingerprint()
    if known not in (None, now):
        raise CheckpointError(
            "the pipeline has changed since this checkpoint was written: "
            f"plan {now}, checkpoint {known}",
            where=str(store.path),
            hint="undo the change, or start afresh with another `checkpoint: {path: ...}`",
        )
    if known is None:
        store.bind(now)


def agree(saved: Saved, outlets: Mapping[str, Outlet]) -> None:
    """Every sink must remember the last committed epoch, or the one after it.

    A sink that promises exactly once, has published before and remembers nothing has lost data.
    """
    for name, outlet in outlets.items():
        marker = outlet.published
        lost = marker is None and outlet.remembers and name in saved.outputs
        if marker is not None or lost or saved.epoch == 0:
            _check_marker(name, marker or 0, saved)


@contextmanager
def emptying(store: Checkpoint) -> Iterator[None]:
    """While an epoch is read again: if its rows are others' now, it is one without rows.

    An output that had shown it keeps what it has, the others show nothing of it.
    """
    try:
        yield
    except BeginAgain:
        store.empty()
        raise


def _check_marker(name: str, marker: int, saved: Saved) -> None:
    newest = saved.epoch + (1 if saved.intent is not None else 0)
    if marker > newest:
        raise SinkLost(
            f"the sink remembers epoch {marker}, the checkpoint only {saved.epoch}: "
            "the checkpoint is an old copy, or was removed",
            where=f"output {name}",
            hint="restore the newest checkpoint, or empty the sink and start afresh",
        )
    if marker < saved.epoch:
        raise SinkLost(
            f"the sink remembers epoch {marker}, the checkpoint {saved.epoch}: "
            "the sink has lost data",
            where=f"output {name}",
            hint="restore the sink, or start afresh with another checkpoint and an empty sink",
        )
