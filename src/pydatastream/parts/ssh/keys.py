"""Whom to trust, and by which key to be trusted."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from pydatastream.core.errors import ConfigError
from pydatastream.parts.ssh.errors import Address, is_a

SCAN = "ssh-keyscan -p {at.port} {at.host} shows its key: compare it with the server's own"
"""How a person sees a server's key."""


class Unknown:
    """What is done with a server whose key is not known: nothing."""

    def __init__(self, at: Address) -> None:
        self._at = at

    def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:  # noqa: ARG002 - paramiko's
        what = f"the host key of {hostname} is not known ({key.get_name()} {key.fingerprint})"
        hint = f"{SCAN.format(at=self._at)}, then add it to `known_hosts` or as `host_key`"
        raise ConfigError(what, hint=hint)


def private_key(paramiko: Any, at: Address) -> Any:
    """The key that the user logs in with."""
    path = Path(at.key_file or "").expanduser()
    secret = at.passphrase and at.passphrase.get_secret_value().encode()
    if not path.is_file():
        raise ConfigError(f"key_file: no such file: {path}", hint="the path of a private key")
    try:
        return paramiko.PKey.from_path(path, secret)
    except Exception as error:
        if is_a(error, "PasswordRequiredException") or "encrypted" in str(error):
            hint = "passphrase: ${SFTP_PASSPHRASE}"
            raise ConfigError(f"key_file: {path} is encrypted", hint=hint) from None
        hint = "the private key, not the .pub"
        raise ConfigError(f"key_file: {path} cannot be read: {error}", hint=hint) from error


def host_key(paramiko: Any, kind: str, content: str) -> Any:
    """A key of the server, as it is written in known_hosts."""
    try:
        return paramiko.PKey.from_type_string(kind, base64.b64decode(content, validate=True))
    except (ValueError, paramiko.SSHException, paramiko.UnknownKeyType) as error:
        hint = 'a line of ssh-keyscan without the host: "ssh-ed25519 AAAA..."'
        raise ConfigError(f"host_key is no key: {error}", hint=hint) from None
