"""What every test may ask for."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import hypothesis
import pytest

from services import SERVERS
from services.install import Missing
from services.server import Server, folder

hypothesis.settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("untimed")


@pytest.fixture
def open_files():
    """How many files below a folder this process holds open."""

    def count(folder: Path) -> int:
        found = 0
        for one in Path("/proc/self/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile by another thread
                found += one.readlink().is_relative_to(folder)
        return found

    return count


MOST_AGAIN = 100
"""With more failures than this something is broken, and a second try tells nothing."""

_failed = pytest.StashKey[dict[str, None]]()


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="tests with a long form, in it (hours)")
    parser.addoption("--again", action="store_true", help="what fails beside others, again alone")


def pytest_configure(config):
    config.stash[_failed] = {}
    config.pluginmanager.register(Failures(config.stash[_failed]))


class Failures:
    """Hears which tests failed."""

    def __init__(self, found: dict[str, None]) -> None:
        self._found = found

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self._found[_without_group(report.nodeid)] = None


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config):
    """With `--again`, tests that failed run once more, alone: both outcomes are told.

    Real servers and kills on two cores: a test may starve beside others. Twice is a failure.
    """
    code = yield
    failed = list(config.stash[_failed])
    again = code == pytest.ExitCode.TESTS_FAILED and config.getoption("--again")
    if not again or not 0 < len(failed) <= MOST_AGAIN:
        return code
    print(f"\n{len(failed)} failed beside others, and run once more, alone:", *failed, sep="\n  ")
    sys.stdout.flush()
    alone = [sys.executable, "-m", "pytest", f"--timeout={config.getoption('timeout') or 0}"]
    return subprocess.run([*alone, *failed], check=False).returncode


def _without_group(nodeid: str) -> str:
    """The name of a test, without the group that its worker has put behind it."""
    at = nodeid.rfind("@")
    return nodeid[:at] if at > nodeid.rfind("]") else nodeid


@pytest.fixture(scope="session")
def long(request):
    """Whether the long form of a test was asked for: more kills, more seeds."""
    return request.config.getoption("--long")


def available(server: type[Server]) -> None:
    """Install it; where that is not possible, skip and say so, but never in CI."""
    try:
        server.ensure()
    except Missing as reason:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no {server.name} here: {reason}")


def _fixture_of(server: type[Server]):
    @pytest.fixture(scope="session", name=f"{server.name}_server")
    def started() -> Iterator[Server]:
        available(server)
        with folder() as place, server(place) as running:
            yield running

    return started


_FIXTURES = {f"{server.name}_server": _fixture_of(server) for server in SERVERS}
globals().update(_FIXTURES)
"""`kafka_server`, `redis_server`, ...: started when a test asks for it, once per session."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Tests of one server run in one process; with `--long` all that are slow or can be long."""
    for item in items:
        used = [name for name in _FIXTURES if name in getattr(item, "fixturenames", ())]
        if used:
            item.add_marker(pytest.mark.xdist_group(used[0]))
    if config.option.collectonly:  # who only asks what there is hears of all
        return
    fits = _can_be_long if config.getoption("--long") else _is_short
    config.hook.pytest_deselected(items=[item for item in items if not fits(item)])
    items[:] = filter(fits, items)


def _is_short(item):
    return item.get_closest_marker("slow") is None


def _can_be_long(item):
    return "long" in getattr(item, "fixturenames", ()) or not _is_short(item)
