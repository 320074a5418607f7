"""One connection to an SFTP server: its host key is known beforehand, or it is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from pydatastream.core.errors import ConfigError, RetryLater
from pydatastream.parts.ssh.errors import Address, is_a, lost, refused, told
from pydatastream.parts.ssh.keys import SCAN, Unknown, host_key, private_key

SECONDS = 15.0
"""How long to wait for an answer."""

TRUSTED = "~/.ssh/known_hosts"


class Ssh:
    """A connection that is made when it is needed, and again after it was lost."""

    def __init__(self, at: Address) -> None:
        self._at = at
        self.name = at.name
        self._client: Any = None
        self._sftp: Any = None

    @contextmanager
    def speaking(self, path: str) -> Iterator[Any]:
        """A client of the server; its failures as errors that say where and what to do."""
        try:
            yield self._connected()
        except OSError as error:
            raise self._failed(told(self._at, error, path)) from error
        except EOFError as error:
            raise self._failed(lost(self._at, error)) from error
        except Exception as error:
            if is_a(error, "SSHException"):
                raise self._failed(lost(self._at, error)) from error
            raise

    def sync(self, file: Any) -> None:
        """Make what was written durable at the server, where it knows how."""
        file.flush()
        try:
            sftp = self._connected()
            sftp._request(200, "fsync@openssh.com", file.handle)  # noqa: SLF001 - it has no name
        except OSError as error:
            if "unsupported" not in str(error).lower():
                raise

    def close(self) -> None:
        """End the connection; it may be closed twice."""
        client, self._client, self._sftp = self._client, None, None
        if client is not None:
            client.close()

    def _connected(self) -> Any:
        if self._sftp is None:
            self._client = self._logged_in(library())
            self._sftp = self._client.open_sftp()
            self._sftp.get_channel().settimeout(SECONDS)
        return self._sftp

    def _logged_in(self, paramiko: Any) -> Any:
        client = paramiko.SSHClient()
        try:
            self._trust(paramiko, client)
            client.connect(**self._login(paramiko), **self._patience())
        except BaseException as error:
            client.close()
            raise refused(self._at, error) from error
        client.get_transport().set_keepalive(SECONDS)
        return client

    def _login(self, paramiko: Any) -> dict[str, Any]:
        at = self._at
        given = bool(at.key_file or at.password)
        return {
            "hostname": at.host,
            "port": at.port,
            "username": at.user,
            "password": at.password and at.password.get_secret_value(),
            "pkey": private_key(paramiko, at) if at.key_file else None,
            "allow_agent": not given,
            "look_for_keys": not given,
        }

    def _patience(self) -> dict[str, float]:
        return dict.fromkeys(("timeout", "banner_timeout", "auth_timeout"), SECONDS)

    def _trust(self, paramiko: Any, client: Any) -> None:
        """Know the server's key beforehand; a key that is not known is never added."""
        at = self._at
        client.set_missing_host_key_policy(Unknown(at))
        if at.host_key:
            kind, content = at.host_key.split()[:2]
            name = at.host if at.port == 22 else f"[{at.host}]:{at.port}"
            client.get_host_keys().add(name, kind, host_key(paramiko, kind, content))
            return
        path = Path(at.known_hosts or TRUSTED).expanduser()
        if path.exists():
            client.load_host_keys(str(path))
        elif at.known_hosts:
            raise ConfigError(f"known_hosts: no such file: {path}", hint=SCAN.format(at=at))

    def _failed(self, error: Exception) -> Exception:
        if isinstance(error, RetryLater):
            self.close()
        return error


def library() -> Any:
    """The client library, or `ConfigError` that names what to install."""
    try:
        return import_module("paramiko")
    except ImportError:
        hint = "pip install 'pydatastreamprocessor[sftp]'"
        raise ConfigError("sftp needs paramiko, which is not installed", hint=hint) from None
