"""What a run left over, and what can be done about it."""

from __future__ import annotations

from collections.abc import Iterator

from pydatastream.core.plan import Plan
from pydatastream.core.sink import Sink
from pydatastream.engines.local import RunReport, Settings


def leftovers(report: RunReport, plan: Plan, settings: Settings, file: str) -> list[str]:
    """Where rows went that did not go to the outputs, one sentence each."""
    dead = _dead(report.dead, settings, file) if report.dead else ()
    return [*dead, *(_late(report.late, plan) if report.late else ())]


def place(sink: Sink) -> str:
    """Where a sink writes, as far as it can be said in a few words."""
    path = getattr(sink, "path", None)
    return str(path) if path else f"the {sink.type_name()} output"


def _dead(count: int, settings: Settings, file: str) -> Iterator[str]:
    if settings.on_error == "skip":
        yield f"{_rows(count)} skipped that could not be processed (`on_error: skip`)"
    elif settings.dead_letters is not None:
        letters = "1 dead letter" if count == 1 else f"{count:,} dead letters"
        yield f"{letters} in {place(settings.dead_letters)}: pds dlq show {file}"


def _late(count: int, plan: Plan) -> Iterator[str]:
    takers = [output for output in plan.outputs if output.input.endswith(".late")]
    came = f"{_rows(count)} came too late for an open window"
    if takers:
        yield f"{came}: in {', '.join(place(output.sink) for output in takers)}"
    else:
        yield (
            f"{came}: `lateness: 5s` at the step waits longer, "
            "`late: {type: file, path: late/}` keeps what is late"
        )


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
