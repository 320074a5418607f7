"""A pipeline that a program starts and stops."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from pydatastream import planning
from pydatastream.config import loading
from pydatastream.config.declaration import Declared
from pydatastream.core.errors import ConfigError, PdsError
from pydatastream.core.source import Source
from pydatastream.engines import local
from pydatastream.engines.local import Run, RunReport
from pydatastream.pipeline import Pipeline

TURN = 0.2
"""Seconds of one wait: a signal that another thread got ends none of them."""

_log = logging.getLogger("pydatastream")


class DataProcessor:
    """Runs the pipeline of a configuration: a file, a dict that says the same, or a `Pipeline`.

        with DataProcessor("config.yaml") as processor:
            processor.start()            # in the background
            ...                          # until the end of the block

    `process_stream()` instead runs it here, until its end or Ctrl-C.
    """

    def __init__(self, config: Mapping[str, Any] | str | Path | Pipeline) -> None:
        """Take a configuration; it is looked at when it is started."""
        self._config = config
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._run: Run | None = None
        self.error: BaseException | None = None
        """What ended the run in the background, if it did not end well."""

    def start(self) -> None:
        """Run in the background; `ConfigError` says what is malformed, and where."""
        self._start(self._logged)

    def process_stream(self) -> RunReport | None:
        """Run here: to the end of the stream, until Ctrl-C, or until `stop` is called elsewhere.

        What was read by then is finished. None: it was stopped before it could begin.
        """
        thread = self._start(self._kept)
        try:
            while thread.is_alive():
                thread.join(TURN)
        except KeyboardInterrupt:
            self._stop.set()
        finally:
            self.stop()
        if self.error is not None:
            raise self.error
        return self.report()

    def stop(self) -> None:
        """End the run and every thread of it; what was read is finished. It may be done twice."""
        self._stop.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait, for at most so many seconds, until the run in the background is over."""
        if self._thread is not None:
            self._thread.join(timeout)
        return not self.running

    @property
    def running(self) -> bool:
        """Whether it runs in the background."""
        return self._thread is not None and self._thread.is_alive()

    def report(self) -> RunReport | None:
        """What the run has done so far; None: it has not begun."""
        return self._run.report() if self._run else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _begun(self) -> Pipeline:
        """The pipeline, checked as far as that needs no server."""
        if self.running:
            raise ConfigError("it is running already", hint="call `stop()` first")
        self._stop, self._run, self.error = threading.Event(), None, None
        pipeline = _pipeline(self._config)
        said = pipeline.declaration
        if all(map(_is_declared, said.sources)):
            pipeline.plan(offline=True)
        else:
            planning.wire(said)
        return pipeline

    def _start(self, work: Callable[[Pipeline], None]) -> threading.Thread:
        pipeline = self._begun()
        self._thread = threading.Thread(target=work, args=(pipeline,), name="data-processor")
        self._thread.daemon = True
        self._thread.start()
        return self._thread

    def _logged(self, pipeline: Pipeline) -> None:
        self._kept(pipeline)
        if self.error is not None:
            _log.error("%s", self.error)

    def _kept(self, pipeline: Pipeline) -> None:
        try:
            plan = planning.plan_in_time(pipeline.declaration, self._stop)
            if plan is not None:
                settings = local.Settings(**pipeline.settings(), stop=self._stop)
                self._run = Run(plan, settings)
                self._run.run()
        except BaseException as error:  # noqa: BLE001 - it is told elsewhere
            self.error = error


def _pipeline(config: Mapping[str, Any] | str | Path | Pipeline) -> Pipeline:
    if isinstance(config, Pipeline):
        return config
    if isinstance(config, Mapping):
        return Pipeline(declaration=loading.given(config))
    return Pipeline.load(config)


def _is_declared(node: Declared[Source]) -> bool:
    """Whether the columns are known without looking at the source."""
    try:
        return node.component.declared() is not None
    except PdsError as error:
        raise error.at(node.where or "source") from None
