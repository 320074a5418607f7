"""What the refusals of a Redis tell the engine to do."""

from __future__ import annotations

from pydatastream.core.errors import ConfigError, PdsError, RetryLater, StopError

PASSES: tuple[str, ...] = (
    "LOADING",
    "READONLY",
    "OOM",
    "MISCONF",
    "BUSY ",
    "MOVED",
    "ASK",
    "TRYAGAIN",
)
PASSES += ("CLUSTERDOWN", "MASTERDOWN", "NOREPLICAS", "UNBLOCKED")
"""How refusals begin that heal by themselves, or when somebody looks after the server."""

PASSING: tuple[str, ...] = (
    "ReadOnlyError",
    "OutOfMemoryError",
    "BusyLoadingError",
    "TryAgainError",
    "MovedError",
)
PASSING += ("AskError", "ClusterDownError", "MasterDownError", "RedisClusterException")
PASSING += ("ConnectionError", "TimeoutError", "ClusterError")
"""The client's names for them; it takes off the first word."""

LOGIN: tuple[str, ...] = (
    "WRONGPASS",
    "NOAUTH",
    "invalid username-password",
    "without any password",
)
LOGIN += ("invalid password", "Authentication required")
HINTS = {
    "WRONGTYPE": "name another key, or rename this one",
    "NOPERM": "give this user the permission: ACL SETUSER",
    "no permissions": "give this user the permission: ACL SETUSER",
    "unknown command": "Redis 7 or newer is needed; time series need the module, or Redis 8",
    "DB index": "name a database that the server has",
}


def meaning(error: BaseException, address: str) -> PdsError:
    """What the engine is to do about an error of the client."""
    import redis

    why = " ".join(str(error).split())[:200] or type(error).__name__
    at = f"redis at {address}"
    if any(sign in why for sign in LOGIN):
        return ConfigError(f"{at} refuses the login: {why}", hint="check user and password")
    if "CERTIFICATE" in why or "[SSL" in why:
        check = "check `tls:` (ca), and that the server speaks TLS on this port"
        return ConfigError(f"{at}: {why}", hint=check)
    hint = next((hint for sign, hint in HINTS.items() if sign in why), None)
    if hint:
        kind = StopError if "WRONGTYPE" in why else ConfigError
        return kind(f"{at} refuses: {why}", hint=hint)
    passing = tuple(getattr(redis.exceptions, name) for name in PASSING)
    if isinstance(error, (OSError, *passing)) or why.startswith(PASSES):
        return RetryLater(f"{at} cannot be used now: {why}")
    return StopError(f"{at} refuses: {why}")
