"""SFTP: OpenSSH from Debian's packages; one user, one key, one folder."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

from services.install import program
from services.server import LOOPBACK, Server

CONFIG = """Port {port}
ListenAddress {host}
HostKey {folder}/host_key
PidFile none
AuthorizedKeysFile {folder}/user_key.pub
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
Subsystem sftp internal-sftp
ForceCommand internal-sftp -d {folder}/root
"""


class Sftp(Server):
    """An SSH server that only serves files, below `root`."""

    name = "sftp"

    @classmethod
    def ensure(cls) -> None:
        program("sshd", "openssh-server", "openssh-client")
        program("sftp", "openssh-client")

    @property
    def root(self) -> Path:
        """The folder that clients see first."""
        return self.folder / "root"

    def prepare(self) -> None:
        self.root.mkdir()
        for key in ("host_key", "user_key"):
            self.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / key))
        config = CONFIG.format(port=self.port, host=LOOPBACK, folder=self.folder)
        (self.folder / "sshd_config").write_text(config)
        host_key = (self.folder / "host_key.pub").read_text()
        (self.folder / "known_hosts").write_text(f"[{LOOPBACK}]:{self.port} {host_key}")

    def command(self) -> list[str]:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        return [program("sshd"), "-D", "-e", "-f", str(self.folder / "sshd_config")]

    def environment(self) -> dict[str, str]:
        return {
            "SFTP_HOST": LOOPBACK,
            "SFTP_PORT": str(self.port),
            "SFTP_USER": getpass.getuser(),
            "SFTP_KEY_FILE": str(self.folder / "user_key"),
            "SFTP_KNOWN_HOSTS": str(self.folder / "known_hosts"),
        }

    def sftp(self, *commands: str) -> str:
        """What the sftp program prints for these commands."""
        batch = self.folder / "batch"
        batch.write_text("".join(f"{line}\n" for line in commands))
        options = {
            "Port": str(self.port),
            "IdentityFile": str(self.folder / "user_key"),
            "UserKnownHostsFile": str(self.folder / "known_hosts"),
            "StrictHostKeyChecking": "yes",
        }
        given = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        return self.run("sftp", "-q", "-F", "none", *given, "-b", str(batch), LOOPBACK)
