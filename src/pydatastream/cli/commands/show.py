"""Print a pipeline, from YAML or from Python, as a pipeline file.

What came from `${...}` or from the environment is written as it stood in the file.
"""

from __future__ import annotations

from pydatastream.cli.arguments import File, NoPython
from pydatastream.pipeline import Pipeline


def command(file: File, no_python: NoPython = False) -> None:
    """Print the pipeline file that declares the same."""
    print(Pipeline.load(file, python=not no_python).to_yaml(), end="")
