"""How a connection is encrypted, and by whom the other side is vouched for."""

from __future__ import annotations

from pydantic import SecretStr

from pydatastream.core.described import Described


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
