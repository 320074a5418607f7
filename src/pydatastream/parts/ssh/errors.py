"""What the failures of an SFTP server mean: wait, or look at this option."""

from __future__ import annotations

import errno
from typing import Protocol

from pydantic import SecretStr

from pydatastream.core.errors import ConfigError, RetryLater, StopError


class Address(Protocol):
    """How to reach a server, and how to know it."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def user(self) -> str | None: ...
    @property
    def key_file(self) -> str | None: ...
    @property
    def passphrase(self) -> SecretStr | None: ...
    @property
    def password(self) -> SecretStr | None: ...
    @property
    def known_hosts(self) -> str | None: ...
    @property
    def host_key(self) -> str | None: ...
    @property
    def name(self) -> str: ...


def refused(at: Address, error: BaseException) -> BaseException:
    """What a login that failed says."""
    if is_a(error, "BadHostKeyException"):
        what = f"{at.name} shows another host key than the one that is known"
        hint = "somebody may be in between; if the server has a new key, compare it first"
        return ConfigError(what, hint=f"{hint}, then replace it in `known_hosts`")
    if is_a(error, "PasswordRequiredException"):
        return ConfigError(f"{at.key_file} is encrypted", hint="passphrase: ${SFTP_PASSPHRASE}")
    if is_a(error, "AuthenticationException"):
        by = "key_file" if at.key_file else "password" if at.password else "agent and keys"
        what = f"{at.name} refuses user {at.user or '(this one)'} ({by}): {error}"
        return ConfigError(what, hint="check `user`, `key_file` and `password`")
    if is_a(error, "IncompatiblePeer"):
        return ConfigError(f"{at.name} speaks no common algorithm: {error}")
    if is_a(error, "SSHException") or isinstance(error, (OSError, EOFError)):
        return lost(at, error)
    return error


def told(at: Address, error: OSError, path: str) -> Exception:
    """What the server says of a path."""
    if error.errno == errno.ENOENT:
        hint = "check `path`: a relative one begins where the login does"
        return ConfigError(f"{at.name}: no such file or directory: {path}", hint=hint)
    if error.errno == errno.EACCES:
        hint = "give the user the right, or check `path`"
        return ConfigError(f"{at.name}: permission denied: {path}", hint=hint)
    if error.errno is None and not isinstance(error, TimeoutError) and error.args:
        hint = "look at space, quota and rights on the server"
        return StopError(f"{at.name} cannot do it ({error}): {path}", hint=hint)
    return lost(at, error)


def lost(at: Address, error: BaseException) -> RetryLater:
    """What a connection that broke says: it may come back."""
    return RetryLater(f"{at.name} cannot be reached: {error or type(error).__name__}")


def is_a(error: BaseException, name: str) -> bool:
    """Whether it is an error of the client library, which is not loaded when this is."""
    return any(one.__name__ == name for one in type(error).__mro__)
