"""Where an MQTT broker is, and how one logs in."""

from __future__ import annotations

import ssl
from typing import Any, Literal

from pydantic import Field, SecretStr, model_validator

from pydatastream.core.component import Component
from pydatastream.parts.network.tls import Tls

MANY = 65_535
"""Messages under way without an answer: the most that MQTT 5 can say."""

FOREVER = 0xFFFFFFFF
"""A session that does not expire."""


class MqttPlace(Component):
    """What source and sink have in common: the broker, the user, TLS."""

    host: str = "localhost"
    """The broker's host."""
    port: int = Field(1883, gt=0, lt=65536)
    """Its port; with TLS usually 8883."""
    user: str | None = None
    """Who logs in."""
    password: SecretStr | None = None
    """The password, such as ${MQTT_PASSWORD}."""
    tls: Tls | bool = False
    """Encrypt the connection: true, or {ca, cert, key, key_password, insecure}."""
    client_id: str | None = None
    """Our name at the broker, under which it keeps what we have not answered."""
    version: Literal["5", "3.1.1"] = "5"
    """The version of MQTT that the broker speaks."""

    @model_validator(mode="before")
    @classmethod
    def _reads_version(cls, options: Any) -> Any:
        if isinstance(options, dict) and isinstance(options.get("version"), int | float):
            return {**options, "version": f"{options['version']:g}"}
        return options

    @property
    def at(self) -> str:
        """The broker as errors name it."""
        return f"mqtt at {self.host}:{self.port}"

    def client(self, *, keeps: bool) -> Any:
        """A client that has not connected yet; `keeps`: it acknowledges when it is told to."""
        import paho.mqtt.client as paho
        from paho.mqtt import enums

        newest = self.version == "5"
        clean: dict[str, Any] = {} if newest else {"clean_session": not keeps}
        client = paho.Client(
            enums.CallbackAPIVersion.VERSION2,
            client_id=self.client_id,
            protocol=paho.MQTTv5 if newest else paho.MQTTv311,
            manual_ack=keeps,
            **clean,
        )
        if self.user is not None:
            secret = self.password.get_secret_value() if self.password else None
            client.username_pw_set(self.user, secret)
        self._encrypt(client)
        return client

    def connect(self, client: Any, *, keeps: bool) -> None:
        """Connect; with MQTT 5 as much may be under way as there can be."""
        client.connect(self.host, self.port, keepalive=30, **self._session(keeps))

    def _session(self, keeps: bool) -> dict[str, Any]:
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        if self.version != "5":
            return {}
        wanted = Properties(PacketTypes.CONNECT)
        wanted.ReceiveMaximum = MANY
        wanted.SessionExpiryInterval = FOREVER if keeps else 0
        return {"clean_start": not keeps, "properties": wanted}

    def _encrypt(self, client: Any) -> None:
        if not self.tls:
            return
        tls = self.tls if isinstance(self.tls, Tls) else Tls()
        tls.expect_files()
        secret = tls.key_password.get_secret_value() if tls.key_password else None
        check = ssl.CERT_NONE if tls.insecure else ssl.CERT_REQUIRED
        client.tls_set(tls.ca, tls.cert, tls.key, check, keyfile_password=secret)
        client.tls_insecure_set(tls.insecure)
