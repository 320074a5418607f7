"""The dashboard as a person sees it: `pds dashboard` in a real browser."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from pydatastream.dashboard.board import Board
from pydatastream.pipeline import Pipeline
from services.install import program
from services.server import free_port

DDOS = Path(__file__).parents[2] / "examples" / "ddos" / "detect.yaml"
PIPELINE = """
name: plant
source: {type: generate, count: 4000, step: 20ms, time: ts, columns: {ts: t, v: i % 7}}
processor:
  - tumbling: {size: 1s, aggregate: {n: count(*), mean: avg(v)}}
output: {type: file, path: out/, format: json}
"""


def answers(url):
    try:
        return urllib.request.urlopen(url, timeout=1).read() == b"ok"  # noqa: S310 - our own page
    except OSError:
        return False


@pytest.fixture
def served(tmp_path, monkeypatch):
    """The address of a page that `pds dashboard` serves."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "plant.yaml"
    file.write_text(PIPELINE)
    Pipeline.load(file).run()
    port = free_port()
    words = ["dashboard", str(file), "--no-browser", "--port", str(port)]
    process = subprocess.Popen([sys.executable, "-m", "pydatastream", *words])
    over = time.monotonic() + 60
    while not answers(f"http://127.0.0.1:{port}/_stcore/health"):
        assert time.monotonic() < over
        assert process.poll() is None
        time.sleep(0.2)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(20)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_charts_are_drawn_in_a_browser(served, scheme, tmp_path):
    chromium = program("chromium", "chromium", "fonts-dejavu-core")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(color_scheme=scheme)
        page.goto(served)
        page.get_by_text("output: mean").wait_for(timeout=60_000)
        charts = page.locator(
            "[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg"
        )
        charts.nth(1).wait_for(timeout=60_000)
        assert page.locator("[data-testid=stException]").count() == 0
        page.screenshot(path=tmp_path / f"{scheme}.png")
        browser.close()
    assert (tmp_path / f"{scheme}.png").stat().st_size > 10_000


def test_the_panels_of_the_ddos_example_fit_its_outputs(monkeypatch):
    monkeypatch.chdir(DDOS.parent)
    board = Board.of(Pipeline.load(DDOS))
    assert {panel.show for panel in board.panels()} >= {"line", "area", "bar", "table", "source"}
