"""How a connection is encrypted, and by whom the other side is vouched for."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from pydatastream.core.described import Described
from pydatastream.core.errors import ConfigError


class Tls(Described):
    """Certificates, as paths of PEM files."""

    ca: str | None = None
    """Whom to trust; by default the authorities that this machine trusts."""
    cert: str | None = None
    """The certificate that shows who we are, where the server asks for one."""
    key: str | None = None
    """Its private key."""
    key_password: SecretStr | None = None
    """The password of the key."""
    insecure: bool = False
    """Encrypt, but believe any certificate: whoever is in between can read and change all."""

    def expect_files(self) -> None:
        """Raise `ConfigError` if one of them is not there: no client says so in plain words."""
        for name, path in (("ca", self.ca), ("cert", self.cert), ("key", self.key)):
            if path and not Path(path).is_file():
                what = f"tls: {name}: there is no file {path}"
                raise ConfigError(what, hint=f"looked from {Path.cwd()}")
