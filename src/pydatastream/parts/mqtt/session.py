"""A connection to an MQTT broker: made in a thread of the client, watched from ours."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable
from typing import Any

from pydatastream.core.errors import ConfigError, PdsError, RetryLater
from pydatastream.parts.mqtt.place import MqttPlace

LOG = logging.getLogger("pydatastream.mqtt")

PATIENCE = 10.0
"""Seconds in which a broker must answer."""

LOGIN = ("Bad user name or password", "Not authorized", "Banned", "Bad authentication method")


class Session:
    """Connects, and connects again by itself; `joined` is called each time.

    `keeps`: the broker is to keep the session, and messages are acknowledged by hand.
    """

    def __init__(
        self, place: MqttPlace, joined: Callable[[Any, bool], None] | None, *, keeps: bool
    ) -> None:
        self.place, self._joined = place, joined
        self.client = place.client(keeps=keeps)
        self.client.on_connect, self.client.on_disconnect = self._connect, self._disconnect
        self._answered = threading.Event()
        self._error: PdsError | None = None
        self._keeps = keeps
        self._closing = False
        self.connections = 0

    def open(self) -> None:
        """Return when the broker has let us in; otherwise say why not."""
        try:
            self.place.connect(self.client, keeps=self._keeps)
        except ssl.SSLError as error:
            what = f"{self.place.at}: {error.reason or error}"
            raise ConfigError(what, hint="check `tls:` (ca), and that it speaks TLS") from None
        except (OSError, ValueError) as error:
            raise RetryLater(f"{self.place.at} cannot be reached: {error}") from None
        self.client.loop_start()
        self.wait(self._answered)

    def wait(self, event: threading.Event) -> None:
        """Wait for an answer; close and raise if there is none, or a refusal."""
        came = event.wait(PATIENCE)
        if self._error or not came:
            self.close()
            raise self._error or RetryLater(f"{self.place.at} does not answer")

    def refuse(self, error: PdsError, event: threading.Event) -> None:
        """Let whoever waits for the event have this error."""
        self._error = error
        event.set()

    @property
    def connected(self) -> bool:
        """Whether the broker is there just now."""
        return bool(self.client.is_connected())

    def close(self) -> None:
        """Leave; it may be done twice."""
        self._closing = True
        self.client.disconnect()
        self.client.loop_stop()

    def _connect(self, client: Any, _: Any, flags: Any, reason: Any, *_told: Any) -> None:
        if reason.is_failure:
            self.refuse(self._refusal(str(reason)), self._answered)
            return
        self.connections += 1
        if self._joined:
            self._joined(client, flags.session_present)
        self._answered.set()

    def _disconnect(self, _: Any, __: Any, ___: Any, reason: Any, *____: Any) -> None:
        if not self._closing:
            LOG.warning("%s has gone: %s", self.place.at, reason)
            if not self._answered.is_set():
                hint = 'an older broker needs `version: "3.1.1"`'
                error = RetryLater(f"{self.place.at} hangs up: {reason}", hint=hint)
                self.refuse(error, self._answered)

    def _refusal(self, reason: str) -> PdsError:
        what = f"{self.place.at} refuses: {reason}"
        if reason in LOGIN:
            return ConfigError(what, hint="check user and password")
        if reason in ("Unsupported protocol version", "Client identifier not valid"):
            return ConfigError(what, hint='`version: "3.1.1"`, or another `client_id`')
        return RetryLater(what)
