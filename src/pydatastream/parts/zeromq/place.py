"""Where ZeroMQ sockets meet, and how one is made."""

from __future__ import annotations

import itertools
from typing import Any

from pydantic import Field, SecretStr, model_validator

from pydatastream.core.component import Component
from pydatastream.core.described import Described
from pydatastream.core.errors import ConfigError

KEY = 40
"""Characters of a CURVE key in Z85."""

_monitors = itertools.count()
"""Names of their own: by its usual name, of the descriptor, one may meet another not yet gone."""


class Curve(Described):
    """Keys of CURVE, 40 characters each; `python -c "import zmq; print(zmq.curve_keypair())"`."""

    public: str = Field(min_length=KEY, max_length=KEY)
    """Our public key."""
    secret: SecretStr = Field(min_length=KEY, max_length=KEY)
    """Our secret key, such as ${file:/run/secrets/curve}."""
    server: str | None = Field(None, min_length=KEY, max_length=KEY)
    """The public key of the other side; without it we are the server, and let anybody in who
    knows our public key."""


class ZeromqPlace(Component):
    """What source and sink have in common: addresses, and what is set on the socket."""

    address: str | None = None
    """Where to meet: tcp://host:port, ipc:///path, inproc://name."""
    addresses: list[str] = Field(default_factory=list)
    """Several places to meet."""
    hwm: int = Field(100_000, ge=0)
    """How many messages may wait in the socket before more are dropped or held up; 0: any."""
    curve: Curve | None = None
    """Encrypt and authenticate: {public, secret, server}."""

    @model_validator(mode="after")
    def _has_address(self) -> ZeromqPlace:
        if not self.places:
            raise ValueError("`address` is needed, such as tcp://localhost:5555")
        return self

    @property
    def places(self) -> list[str]:
        """Every place to meet."""
        return [*([self.address] if self.address else []), *self.addresses]

    def socket(self, kind: str, *, binds: bool) -> tuple[Any, Any]:
        """A socket at its places, and the monitor that hears what becomes of it."""
        import zmq

        socket: Any = zmq.Context.instance().socket(getattr(zmq, kind.upper()))
        socket.set_hwm(self.hwm)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.IPV6, 1)
        self._encrypt(socket)
        monitor = socket.get_monitor_socket(addr=f"inproc://pds-monitor-{next(_monitors)}")
        try:
            for place in self.places:
                (socket.bind if binds else socket.connect)(place)
        except zmq.ZMQError as error:
            hang_up(socket, monitor)
            raise refusal(self.places, error) from None
        return socket, monitor

    def _encrypt(self, socket: Any) -> None:
        import zmq

        if self.curve is None:
            return
        try:
            socket.curve_publickey = self.curve.public.encode()
            socket.curve_secretkey = self.curve.secret.get_secret_value().encode()
            if self.curve.server:
                socket.curve_serverkey = self.curve.server.encode()
            else:
                socket.curve_server = True
        except zmq.ZMQError:
            socket.close()
            raise ConfigError("a key of `curve:` is none", hint="40 characters of Z85") from None


def refusal(places: list[str], error: Any) -> ConfigError:
    """Why a socket cannot be at its places."""
    hint = "tcp://host:port; to bind, tcp://*:port; is another program using the port?"
    return ConfigError(f"zeromq cannot use {', '.join(places)}: {error.strerror}", hint=hint)


def hang_up(socket: Any, monitor: Any) -> None:
    """Close a socket and its monitor; it may be done twice."""
    if not socket.closed:
        socket.disable_monitor()  # says so to the monitor, and waits for ever if that is closed
        monitor.close(linger=0)
        socket.close()


def heard(monitor: Any, wait: int = 0) -> set[str]:
    """The names of what has happened to a socket, after at most `wait` milliseconds."""
    import zmq
    from zmq.utils.monitor import recv_monitor_message

    found: set[str] = set()
    while monitor.poll(0 if found else wait):
        event = recv_monitor_message(monitor, zmq.NOBLOCK)["event"]
        found.add(str(zmq.Event(event).name))
    return found


def strangers(places: list[str], events: set[str]) -> ConfigError | None:
    """The error if the other side and we do not know each other's keys."""
    if not any(name.startswith("HANDSHAKE_FAILED") for name in events):
        return None
    what = f"zeromq at {', '.join(places)}: the handshake failed, the keys do not fit"
    return ConfigError(
        what, hint="check `curve:` here and the keys there; server is theirs, public"
    )
