"""The job: a pipeline of the library's own sinks, run to its end."""

from __future__ import annotations

import threading
from dataclasses import asdict
from typing import Any

from pydatastream.apps.cdr.options import Options
from pydatastream.apps.cdr.pools import pools
from pydatastream.apps.cdr.progress import ProgressSink, files, log, progress
from pydatastream.apps.cdr.records import INDEX, KINDS, TIMES, column
from pydatastream.apps.cdr.source import CallRecordsSource
from pydatastream.core.repeating import repeating
from pydatastream.engines import local
from pydatastream.pipeline import Pipeline

PROGRESS = "idx_data.dat"
CHECKPOINT = ".checkpoint"
"""Files of the output folder, beside the records."""

CSV = {"type": "csv", "guard": False}
"""No field begins with what a spreadsheet would run."""

PARTITIONS = 4
"""Of a topic that is made: records of one subscriber stay in order."""

LOOK = 5.0
"""Seconds between two looks at whether a server is waited for."""


def pipeline(options: Options) -> Pipeline:
    """Records to files, server and topics, and last of all their number to `idx_data.dat`."""
    made = Pipeline(options.name).source(_source(options), name="cdr")
    for kind in KINDS:
        fields = {field: column(kind, field) for field in KINDS[kind]}
        made = made.select(fields, name=kind, inputs="cdr")
    made = made.select([INDEX], name=INDEX, inputs="cdr")
    for kind in KINDS:
        made = _written(made, kind, options)
    counted = ProgressSink(path=str(options.output / PROGRESS), lines=options.line_count)
    kept = options.output / CHECKPOINT
    return made.to(counted, name="progress", input=INDEX).checkpoint(kept).on_error("fail")


def run(options: Options, stop: threading.Event) -> None:
    """Make what is still to be made, until it is everywhere or `stop` is set."""
    planned = pipeline(options)
    job = local.Run(planned.plan(), local.Settings(**planned.settings(), stop=stop))

    def tell() -> None:
        if waits := job.report().waiting_for:
            log.warning("Waiting: %s", waits)

    with repeating(tell, LOOK):
        job.run()
    done = progress(options.output / PROGRESS).get(INDEX, 0)
    if done < options.count:
        log.info("Stopped at record %d of %d: start again to go on", done, options.count)
        return
    told = ", ".join(f"{kind} [{done}]" for kind in KINDS)
    log.info("Completed data generation. %s, files [%d]", told, files(done, options.line_count))


def _source(options: Options) -> CallRecordsSource:
    return CallRecordsSource(
        count=options.count,
        rate=options.lines_per_second,
        start=options.start,
        seed=options.seed,
        lines=options.line_count,
        pools=pools(options.seed).digest(),
        pace=options.pace,
    )


def _written(made: Pipeline, kind: str, options: Options) -> Pipeline:
    """With the outputs of one kind."""
    names = f"{kind}_{{{TIMES[kind]}:%Y%m%d_%H%M%S}}"
    parts: dict[str, Any] = {
        "format": "csv",
        "roll_rows": options.line_count,
        "names": names,
        "input": kind,
    }
    made = made.write("file", path=f"{options.output}/", name=f"{kind}_files", **parts)
    if options.sftp:
        server = {name: value for name, value in asdict(options.sftp).items() if value}
        made = made.write("sftp", name=f"{kind}_sftp", **server, **parts)
    if options.brokers:
        topic: dict[str, Any] = {
            "topic": kind,
            "key": "msisdn",
            "create": {"partitions": PARTITIONS},
        }
        topic |= {"brokers": options.brokers, "format": "json"}
        made = made.write("kafka", name=f"{kind}_topic", input=kind, **topic)
    return made
