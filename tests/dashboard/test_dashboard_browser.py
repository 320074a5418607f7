"""The dashboard as a person sees it: `pds dashboard` in a real browser."""

from __future__ import annotations

import subprocess
import sys
import time
import tomllib
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from pydatastream.cli.commands.dashboard import SERVED
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


LIVE = """
name: plant
source:
  type: generate
  rate: 200
  time: ts
  columns: {ts: t, v: i % 7, warm: i % 100 > 50}
processor:
  - tumbling: {size: 100ms, aggregate: {n: count(*), mean: avg(v)}}
output: {type: sql, url: "sqlite:///plant.db", table: windows, create: true}
dashboard:
  refresh: 300ms
  panels:
    - {column: [n, mean], shade: mean > 3, wide: true}
    - {show: area, column: n}
    - {show: table}
"""
CHARTS = "[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg"
WATCHED = """
() => new Promise(done => {
  const main = document.querySelector("[data-testid=stMain]"), lightest = [], heights = new Set();
  const charts = [...main.querySelectorAll("[data-testid=stVegaLiteChart] :is(canvas, svg)")];
  let waited = 0, redrawn = 0;
  new MutationObserver(found => redrawn += found.length).observe(main, {
    subtree: true, attributes: true, attributeFilter: ["data-stale"]});
  function look() {
    const stale = [...main.querySelectorAll("[data-stale=true]")].map(e => getComputedStyle(e));
    lightest.push(...stale.map(e => e.opacity + " " + e.transitionProperty));
    heights.add(main.scrollHeight);
    if ((lightest.length && redrawn > 100) || ++waited > 3000)
      done({looks: [...new Set(lightest)], heights: heights.size, redrawn,
            gone: charts.filter(e => !e.isConnected).length});
    else requestAnimationFrame(look);
  }
  look();
})
"""
"""What becomes of a page in some refreshes: how what waits for its turn looks, how often the
height changes, and how many charts are replaced."""


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """Serve a page by `pds dashboard`; gives its address."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "plant.yaml"
    started = []

    def start(*words):
        started.append(subprocess.Popen([sys.executable, "-m", "pydatastream", *words]))
        return started[-1]

    def serving(text, *, live=False):
        file.write_text(text)
        if live:
            start("run", str(file))
        else:
            Pipeline.load(file).run()
        port = free_port()
        page = start("dashboard", str(file), "--no-browser", "--port", str(port))
        over = time.monotonic() + 60
        while not answers(f"http://127.0.0.1:{port}/_stcore/health"):
            assert time.monotonic() < over
            assert page.poll() is None
            time.sleep(0.2)
        return f"http://127.0.0.1:{port}"

    yield serving
    for process in started[::-1]:
        process.terminate()
        process.wait(20)


@pytest.fixture
def browser():
    chromium = program("chromium", "chromium", "fonts-dejavu-core")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_charts_are_drawn_in_a_browser(serve, browser, scheme, tmp_path):
    page = browser.new_page(color_scheme=scheme)
    page.goto(serve(PIPELINE))
    page.get_by_text("output: mean").wait_for(timeout=60_000)
    page.locator(CHARTS).nth(1).wait_for(timeout=60_000)
    assert page.locator("[data-testid=stException]").count() == 0
    page.screenshot(path=tmp_path / f"{scheme}.png")
    assert (tmp_path / f"{scheme}.png").stat().st_size > 10_000


@pytest.mark.slow
def test_a_page_is_steady_while_rows_come(serve, browser):
    page = browser.new_page()
    page.goto(serve(LIVE, live=True))
    page.locator(CHARTS).nth(1).wait_for(timeout=60_000)
    page.locator("[data-testid=stDataFrame] canvas").first.wait_for(timeout=60_000)
    page.wait_for_timeout(3_000)
    seen = page.evaluate(WATCHED)
    assert seen.pop("redrawn") > 100
    assert seen == {"looks": ["1 none"], "heights": 1, "gone": 0}


def test_streamlit_run_serves_the_ddos_example_as_pds_dashboard_does():
    said = tomllib.loads((DDOS.parent / ".streamlit" / "config.toml").read_text())
    flat = {f"{part}.{name}": v for part, values in said.items() for name, v in values.items()}
    assert {name: str(v).lower() for name, v in flat.items()} == SERVED


def test_the_panels_of_the_ddos_example_fit_its_outputs(monkeypatch):
    monkeypatch.chdir(DDOS.parent)
    board = Board.of(Pipeline.load(DDOS))
    assert {panel.show for panel in board.panels()} >= {"line", "area", "bar", "table", "source"}
