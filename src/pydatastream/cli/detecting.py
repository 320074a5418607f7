"""What `pds bench detect` prints."""

from __future__ import annotations

import json
from pathlib import Path

from pydatastream.cli.tables import printed
from pydatastream.suites import Measurement, measured


def detect(name: str, data: Path | None, save: Path | None, json_: bool) -> None:
    """Run a suite, keep what was scored if asked, and print its figures beside those of others."""
    found = measured(name, data)
    if save is not None:
        found.save(save)
    if json_:
        print(json.dumps(found.plain()))
    else:
        _show(found)


def _show(found: Measurement) -> None:
    rows = [(name, f"{value:.4g}") for name, value in found.figures.items()]
    rows.append(("rows/s", f"{found.rate:,.0f}"))
    title = f"{found.suite}: {found.rows:,} rows of {len(found.outputs)} files"
    printed(("ours", "figure"), rows, title=title, right=["figure"])
    printed(("others", "what they reach on the suite's own files"), found.peers.items())
