"""What every test may ask for."""

import os
from collections.abc import Iterator

import hypothesis
import pytest

from services import SERVERS
from services.install import Missing
from services.server import Server, folder

hypothesis.settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("untimed")


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="tests with a long form, in it (hours)")


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
