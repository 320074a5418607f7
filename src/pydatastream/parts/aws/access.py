"""How a pipeline reaches AWS, or a server that speaks like it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pydantic import Field, SecretStr

from pydatastream.core.component import Component
from pydatastream.core.errors import ConfigError
from pydatastream.parts.aws.errors import speaking

SECONDS = 20
"""How long to wait for an answer; a long poll waits less."""


class AwsAccess(Component):
    """Region, address and credentials."""

    region: str | None = None
    """The region; by default what AWS_DEFAULT_REGION or the profile says."""
    endpoint_url: str | None = Field(None, pattern="^https?://")
    """Another server that speaks like AWS: "http://127.0.0.1:9000"."""
    access_key_id: str | None = None
    """An access key; by default AWS_ACCESS_KEY_ID, the profile, or the machine's role."""
    secret_access_key: SecretStr | None = None
    """Its secret, better from the environment: ${AWS_SECRET_ACCESS_KEY}."""
    session_token: SecretStr | None = None
    """The token of temporary credentials."""

    def client(self, service: str, connections: int = 10) -> Any:
        """A client; `ConfigError` if the library, the region or credentials are missing."""
        boto3, config = _library()
        keys = {
            "aws_access_key_id": self.access_key_id,
            "aws_secret_access_key": self.secret_access_key,
            "aws_session_token": self.session_token,
        }
        plain = {
            n: k.get_secret_value() if isinstance(k, SecretStr) else k for n, k in keys.items()
        }
        patience = config.Config(
            connect_timeout=5,
            read_timeout=SECONDS,
            retries={"total_max_attempts": 2, "mode": "standard"},
            max_pool_connections=connections,
        )
        with speaking(service, self.endpoint_url):
            session = boto3.session.Session(region_name=self.region, **plain)
            return session.client(service, endpoint_url=self.endpoint_url, config=patience)


def _bare(key: str | SecretStr | None) -> str | None:
    return key.get_secret_value() if isinstance(key, SecretStr) else key


def _library() -> tuple[Any, Any]:
    try:
        return import_module("boto3"), import_module("botocore.config")
    except ImportError:
        hint = "pip install 'pydatastreamprocessor[aws]'"
        raise ConfigError("this needs boto3, which is not installed", hint=hint) from None
