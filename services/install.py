"""What servers need: from Debian's packages, PyPI, Maven and Go, each once, into a cache folder."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

CACHE = Path(os.environ.get("PDS_SERVICES", "~/.cache/pydatastream/services")).expanduser()

NO_DAEMONS = Path("/usr/sbin/policy-rc.d")
"""While this script says 101, Debian's packages do not start what they install."""

POM = """<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>pydatastream</groupId><artifactId>{name}</artifactId><version>1</version>
  <dependencies>{dependencies}</dependencies>
</project>
"""
DEPENDENCY = (
    "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"
)


class Missing(RuntimeError):
    """Something that cannot be installed from here; says what a person can do."""


def program(name: str, *packages: str) -> str:
    """The path of a program, from Debian's packages if it is not there yet."""
    found = _which(name)
    if found is None:
        debian(*packages)
        found = _which(name)
    if found is None:
        raise Missing(f"{name} is still not there after installing {' '.join(packages)}")
    return found


def _which(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


def debian(*packages: str) -> None:
    """Install Debian packages without starting their daemons; needs root."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Missing(
            f"{' '.join(packages)} must be installed\n"
            f"  try: sudo apt-get install {' '.join(packages)}, or docker compose up"
        )
    with _alone("debian"), _no_daemons():
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run("apt-get", "update", "-qq", env=quiet)
        run("apt-get", "install", "-qq", "--no-install-recommends", *packages, env=quiet)


def environment(name: str, *requirements: str) -> Path:
    """The `bin` folder of a Python environment of its own with these packages."""
    folder = CACHE / name
    with _alone(name):
        if not _done(folder, requirements):
            run(sys.executable, "-m", "venv", "--clear", str(folder))
            run(str(folder / "bin" / "pip"), "install", "--quiet", *requirements)
            _finish(folder, requirements)
    return folder / "bin"


def jars(name: str, *coordinates: str) -> Path:
    """A folder with these Maven artifacts (`group:artifact:version`) and what they need."""
    folder = CACHE / name
    with _alone(name):
        if not _done(folder, coordinates):
            _fetch_jars(name, folder, coordinates)
            _finish(folder, coordinates)
    return folder


def _fetch_jars(name: str, folder: Path, coordinates: Sequence[str]) -> None:
    dependencies = "".join(DEPENDENCY.format(*one.split(":")) for one in coordinates)
    folder.mkdir(parents=True, exist_ok=True)
    pom = folder / "pom.xml"
    pom.write_text(POM.format(name=name, dependencies=dependencies))
    maven = program("mvn", "maven", "default-jre-headless")
    run(
        maven,
        "-q",
        "-B",
        "-f",
        str(pom),
        "dependency:copy-dependencies",
        f"-DoutputDirectory={folder}",
    )


def go_program(name: str, module: str) -> Path:
    """The program a Go module builds."""
    folder = CACHE / name
    with _alone(name):
        if not _done(folder, [module]):
            go = program("go", "golang-go")
            run(go, "install", module, env={**os.environ, "GOBIN": str(folder)})
            _finish(folder, [module])
    return folder / module.partition("@")[0].rsplit("/", 1)[1]


def made(name: str, make: Callable[[Path], None]) -> Path:
    """A folder that is made once; whoever comes meanwhile waits until it is whole."""
    folder = CACHE / name
    with _alone(name):
        if not _done(folder, [name]):
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            _finish(folder, [name])
    return folder


def run(*command: str, env: dict[str, str] | None = None) -> str:
    """The output of a program; `Missing` with the end of its complaint if it fails."""
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        complaint = (done.stderr or done.stdout).strip()[-2000:]
        raise Missing(f"{' '.join(command)} failed:\n{complaint}")
    return done.stdout


def _done(folder: Path, wanted: Sequence[str]) -> bool:
    stamp = folder / ".installed"
    return stamp.is_file() and stamp.read_text() == "\n".join(wanted)


def _finish(folder: Path, wanted: Sequence[str]) -> None:
    (folder / ".installed").write_text("\n".join(wanted))


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Let one process at a time install the same thing: tests run in several."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _no_daemons() -> Iterator[None]:
    if NO_DAEMONS.exists():
        yield
        return
    NO_DAEMONS.write_text("#!/bin/sh\nexit 101\n")
    NO_DAEMONS.chmod(0o755)
    try:
        yield
    finally:
        NO_DAEMONS.unlink()
