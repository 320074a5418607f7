"""Compiles the C code of the package if there is a compiler; without it, only speed is missing."""

from __future__ import annotations

import os
import shlex
import subprocess
import sysconfig
import zlib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FLAGS = ["-std=c11", "-O3", "-shared", "-fPIC"]


class Native(BuildHookInterface):
    """One shared library per C file, beside it."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Compile, and say in the wheel's name what it was compiled for."""
        sources = sorted(Path(self.root, "src").rglob("*.c"))
        if False not in [self._compiled(source) for source in sources]:
            build_data["artifacts"].append("/src/**/*.so")
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["tag"] = f"py3-none-{platform}"

    def _compiled(self, source: Path) -> bool:
        target, new = source.with_suffix(".so"), source.with_suffix(".new")
        compiler = shlex.split(os.environ.get("CC", "cc"))
        target.unlink(missing_ok=True)
        try:
            mark = f"-DSOURCE_CRC={zlib.crc32(source.read_bytes())}u"
            command = [*compiler, *FLAGS, mark, "-o", str(new), str(source)]
            subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - the compiler
        except (OSError, subprocess.CalledProcessError) as error:
            self.app.display_warning(f"{source.name} is not compiled, it goes on without: {error}")
            return False
        new.replace(target)
        return True
