"""How a pipeline names an SFTP server."""

from __future__ import annotations

from pydantic import Field, SecretStr

from pydatastream.core.component import Component
from pydatastream.parts.ssh.session import Ssh


class SshServer(Component):
    """How to reach an SFTP server, and how to know it."""

    host: str = Field(min_length=1)
    """The server's name or address."""
    port: int = Field(22, gt=0, lt=65536)
    """Its port."""
    user: str | None = None
    """Who to log in as; by default the user this runs as."""
    key_file: str | None = None
    """A private key; without key and password, the agent and the keys in ~/.ssh are tried."""
    passphrase: SecretStr | None = None
    """What the private key is encrypted with."""
    password: SecretStr | None = None
    """A password, better from the environment: ${SFTP_PASSWORD}."""
    known_hosts: str | None = None
    """A file of host keys that are trusted; by default ~/.ssh/known_hosts."""
    host_key: str | None = Field(None, pattern=r"^[a-z0-9@.-]+ [A-Za-z0-9+/=]+")
    """The server's own key, "ssh-ed25519 AAAA...", in place of a file of such."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return f"sftp://{self.host}:{self.port}"

    def server(self) -> Ssh:
        """The server, not yet connected."""
        return Ssh(self)
