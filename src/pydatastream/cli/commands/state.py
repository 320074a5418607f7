"""Look into the state that a checkpoint holds, or save a model from it.

A saved model is a safetensors file; a step begins with it by `start_from: model.safetensors`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pydatastream.cli.arguments import File, Json, NoPython
from pydatastream.cli.resuming import remembered
from pydatastream.cli.tables import printed
from pydatastream.cli.verbs import group
from pydatastream.core.errors import ConfigError, nearest
from pydatastream.core.state import State
from pydatastream.parts.scoring.detector import Detector
from pydatastream.parts.scoring.saving import save_model
from pydatastream.pipeline import Pipeline

app = group(__doc__, no_args_is_help=True)

Checkpoint = Annotated[
    Path | None, typer.Option(help="The checkpoint, if it is not the one the pipeline names.")
]


@app.command()
def show(
    file: File, checkpoint: Checkpoint = None, json_: Json = False, no_python: NoPython = False
) -> None:
    """Show what each step remembers: rows and bytes, by name."""
    saved = remembered(_place(Pipeline.load(file, python=not no_python), checkpoint))
    states = {step: State(snapshot) for step, snapshot in saved.states.items()}
    rows = [
        {
            "step": step,
            "state": name,
            "rows": sum(one.height for one in state.frames(name)),
            "bytes": int(sum(one.estimated_size() for one in state.frames(name))),
        }
        for step, state in states.items()
        for name in state.names()
    ]
    if json_:
        print(json.dumps(rows))
        return
    head = ("step", "state", "rows", "bytes")
    cells = ((one["step"], one["state"], f"{one['rows']:,}", f"{one['bytes']:,}") for one in rows)
    printed(head, cells, title=f"after epoch {saved.epoch}", right=head[2:])


@app.command()
def save(
    file: File,
    step: Annotated[str, typer.Argument(help="The name of the step that has learnt.")],
    out: Annotated[Path, typer.Argument(help="The file to write: model.safetensors.")],
    checkpoint: Checkpoint = None,
    no_python: NoPython = False,
) -> None:
    """Save what a detector has learnt, as of the last epoch; a run may be going on."""
    pipeline = Pipeline.load(file, python=not no_python)
    steps = {one.name: one.operator for one in pipeline.plan(python=not no_python).steps}
    operator = steps.get(step)
    if not isinstance(operator, Detector):
        known = [name for name, one in steps.items() if isinstance(one, Detector)]
        raise ConfigError(f"no detector is called {step!r}", hint=nearest(step, known))
    saved = remembered(_place(pipeline, checkpoint))
    if step not in saved.states:
        raise ConfigError(f"the checkpoint remembers nothing of {step!r}", where=str(checkpoint))
    save_model(out, State(saved.states[step]), operator.made_by())
    print(f"{out}: {step} after epoch {saved.epoch}, {out.stat().st_size:,} bytes")


def _place(pipeline: Pipeline, given: Path | None) -> Path:
    place = given or pipeline.settings().get("checkpoint")
    if place is None and any(one.component.shared for one in pipeline.declaration.sources):
        what = "the group keeps how far this pipeline is, and its steps remember nothing"
        raise ConfigError(what, hint="`pds dashboard` shows how far it is behind")
    if place is None:
        raise ConfigError("this pipeline has no checkpoint", hint="--checkpoint DIR")
    return Path(place)
