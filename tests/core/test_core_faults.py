import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from pydatastream.core import faults
from pydatastream.core.errors import ConfigError

SCRIPT = """
from pydatastream.core.faults import fault_point
for name in ("other", "here", "here"):
    fault_point(name)
    print(name, flush=True)
"""


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    faults.arm(None)


def passed_twice(spec: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PDS_FAULT": spec}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True, check=False
    )


def test_a_kill_comes_on_the_pass_that_was_asked_for() -> None:
    run = passed_twice("here:kill:2")
    assert run.returncode == -signal.SIGKILL
    assert run.stdout.split() == ["other", "here"]


def test_an_unarmed_point_does_nothing() -> None:
    assert passed_twice("").returncode == 0
    assert passed_twice("elsewhere:kill").stdout.split() == ["other", "here", "here"]


def test_raise_is_an_oserror_and_comes_once() -> None:
    faults.arm("here:raise:2")
    faults.fault_point("here")
    with pytest.raises(OSError, match="PDS_FAULT"):
        faults.fault_point("here")
    faults.fault_point("here")


def test_sleep_waits() -> None:
    faults.arm("here:sleep:0.05")
    start = time.monotonic()
    faults.fault_point("here")
    waited = time.monotonic() - start
    faults.fault_point("here")
    assert waited >= 0.05
    assert time.monotonic() - start - waited < 0.05


@pytest.mark.parametrize("spec", ["here", "here:explode", "here:kill:soon", ":kill", "here:sleep"])
def test_a_spec_that_means_nothing_is_refused(spec: str) -> None:
    with pytest.raises(ConfigError, match="is no fault"):
        faults.arm(spec)
