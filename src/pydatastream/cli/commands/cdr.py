"""Make call records: files, an SFTP server and Kafka hold each exactly once.

Stopped or killed at any point and started again, it goes on where it was: `idx_data.dat` in the
output folder says how far that is. Where USER is set the defaults are for development, else for
production.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from pydatastream.apps.cdr import job
from pydatastream.apps.cdr.options import DEV, PROD, START, Options, SftpServer, mode, moment
from pydatastream.cli.signals import stop_on_signals


def _defaults(field: str) -> str:
    return f"[default: {getattr(DEV, field)}; production: {getattr(PROD, field)}]"


def command(
    total_seconds: Annotated[
        int | None,
        typer.Option(
            min=1,
            envvar="CDR_TOTAL_SECONDS",
            help=f"Seconds of the simulated time. {_defaults('total_seconds')}",
        ),
    ] = None,
    line_count: Annotated[
        int, typer.Option(min=1, max=1_000_000, envvar="CDR_LINE_COUNT", help="Lines in a file.")
    ] = 1000,
    lines_per_second: Annotated[
        int | None,
        typer.Option(
            min=1,
            envvar="CDR_LINES_PER_SECOND",
            help=f"Lines of each kind in a simulated second. {_defaults('lines_per_second')}",
        ),
    ] = None,
    start: Annotated[
        str, typer.Option(envvar="CDR_START", help="The simulated time of the first record.")
    ] = START,
    seed: Annotated[
        int, typer.Option(envvar="CDR_SEED", help="Another seed gives other records.")
    ] = 0,
    pace: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            envvar="CDR_PACE",
            help="Simulated seconds in a real one; by default as fast as can be.",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option(envvar="CDR_OUTPUT", help="The folder of the files.")
    ] = Path("output"),
    brokers: Annotated[
        str,
        typer.Option(
            envvar=["CDR_BROKERS", "KAFKA_BROKERS"],
            help="Where the topics are: host:port,host:port.",
        ),
    ] = "localhost:19092",
    sftp_host: Annotated[
        str | None,
        typer.Option(
            envvar=["CDR_SFTP_HOST", "SFTP_HOST"],
            help=f"The SFTP server. {_defaults('sftp_host')}",
        ),
    ] = None,
    sftp_port: Annotated[
        int | None,
        typer.Option(
            envvar=["CDR_SFTP_PORT", "SFTP_PORT"], help=f"Its port. {_defaults('sftp_port')}"
        ),
    ] = None,
    sftp_user: Annotated[
        str, typer.Option(envvar=["CDR_SFTP_USER", "SFTP_USER"], help="Who to log in as.")
    ] = "cdr",
    sftp_key: Annotated[
        str | None,
        typer.Option(
            envvar=["CDR_SFTP_KEY", "SFTP_KEY_FILE"],
            help="The file of the private key; by default the agent and the keys in ~/.ssh.",
        ),
    ] = None,
    sftp_host_key: Annotated[
        str | None,
        typer.Option(envvar="CDR_SFTP_HOST_KEY", help="The server's own key: ssh-ed25519 AAAA..."),
    ] = None,
    sftp_known_hosts: Annotated[
        str | None,
        typer.Option(
            envvar=["CDR_SFTP_KNOWN_HOSTS", "SFTP_KNOWN_HOSTS"],
            help="A file of host keys that are trusted; by default ~/.ssh/known_hosts.",
        ),
    ] = None,
    sftp_path: Annotated[
        str, typer.Option(envvar="CDR_SFTP_PATH", help="The folder on the server.")
    ] = "upload",
    no_sftp: Annotated[
        bool, typer.Option("--no-sftp", envvar="CDR_NO_SFTP", help="Upload nothing.")
    ] = False,
    no_kafka: Annotated[
        bool, typer.Option("--no-kafka", envvar="CDR_NO_KAFKA", help="Send nothing to topics.")
    ] = False,
) -> None:
    """Make call records."""
    meant = mode()
    server = SftpServer(
        sftp_host or meant.sftp_host,
        sftp_port or meant.sftp_port,
        sftp_user,
        sftp_path,
        sftp_key,
        sftp_host_key,
        sftp_known_hosts,
    )
    options = Options(
        total_seconds=total_seconds or meant.total_seconds,
        lines_per_second=lines_per_second or meant.lines_per_second,
        output=output,
        start=moment(start),
        seed=seed,
        line_count=line_count,
        pace=pace,
        brokers=None if no_kafka else brokers,
        sftp=None if no_sftp else server,
    )
    _log_to_stderr()
    job.run(options, stop_on_signals())


def _log_to_stderr() -> None:
    """What we say, not what client libraries do."""
    shown = logging.StreamHandler()
    shown.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    ours = logging.getLogger("pydatastream")
    ours.addHandler(shown)
    ours.setLevel(logging.INFO)
