"""What the failures of AWS mean: wait, or look at this option."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pydatastream.core.errors import ConfigError, RetryLater, StopError

DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "403", "AllAccessDisabled"}
"""Codes of a right that is missing."""
CREDENTIALS = {
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "ExpiredTokenException",
    "UnrecognizedClientException",
    "InvalidToken",
}
"""Codes of wrong credentials."""
PASSING = {
    "InternalError",
    "KmsThrottled",
    "OverLimit",
    "RequestThrottled",
    "RequestTimeTooSkewed",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
}
"""Codes of what heals by itself."""


@contextmanager
def speaking(what: str, endpoint: str | None) -> Iterator[None]:
    """Turn failures into errors that say whether to wait, or which option to look at."""
    try:
        yield
    except Exception as error:
        told = _told(error, f"{what} at {endpoint}" if endpoint else what)
        if told is None:
            raise
        raise told from error


def expect(answer: Mapping[str, Any], name: str) -> None:
    """Raise `KeyError` if an answer lacks what each has: its headers were cut off on the way.

    The client takes such an answer for one that has nothing to say.
    """
    if name not in answer:
        raise KeyError(name)


def code_of(error: BaseException) -> str:
    """The code of an answer that says no; empty for any other error."""
    answer = getattr(error, "response", None) or {}
    return str(answer.get("Error", {}).get("Code", ""))


def _told(error: Exception, what: str) -> Exception | None:
    if isinstance(error, KeyError):
        return RetryLater(f"{what}: an answer was cut off, it has no {error.args[0]}")
    names, code = {one.__name__ for one in type(error).__mro__}, code_of(error)
    if code in CREDENTIALS or "NoCredentialsError" in names or "PartialCredentialsError" in names:
        hint = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the options of those names"
        return ConfigError(f"{what} refuses the credentials: {error}", hint=hint)
    if "NoRegionError" in names:
        return ConfigError(f"{what} needs a region", hint="region: eu-central-1")
    if "ParamValidationError" in names or "InvalidURI" in code:
        return ConfigError(f"{what}: {str(error).splitlines()[-1]}")
    if code in DENIED:
        hint = "give this user the right that the message names"
        return ConfigError(f"{what} denies access: {error}", hint=hint)
    if code in ("NoSuchBucket", "404"):
        return ConfigError(f"{what} is not there", hint="check `bucket`, `region`, `endpoint_url`")
    if code.rpartition(".")[2] in ("NonExistentQueue", "QueueDoesNotExist"):
        return ConfigError(f"{what} is not there", hint="check `queue`, `region`, `endpoint_url`")
    if code and _status(error) < 500 and code not in PASSING:
        return StopError(f"{what} refuses: {error}")
    if code or "BotoCoreError" in names or "HTTPClientError" in names:
        return RetryLater(f"{what} cannot be reached: {error}")
    return None


def _status(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
