"""Toxiproxy: a TCP proxy that misbehaves on request; built from its Go module."""

from __future__ import annotations

import json
import secrets
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.install import go_program
from services.server import LOOPBACK, Server, free_port

MODULE = "github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0"


@dataclass(frozen=True)
class Proxy:
    """A way through to another server, on a port of its own."""

    control: Toxiproxy
    name: str
    port: int

    @property
    def address(self) -> str:
        """Where to connect instead."""
        return f"{LOOPBACK}:{self.port}"

    def latency(self, milliseconds: int, jitter: int = 0) -> None:
        """Answers come later."""
        self._poison("latency", latency=milliseconds, jitter=jitter)

    def black_hole(self) -> None:
        """Connections stay open and nothing comes back."""
        self._poison("timeout", timeout=0)

    def reset_after(self, bytes_sent: int) -> None:
        """The connection breaks in the middle of an answer."""
        self._poison("limit_data", bytes=bytes_sent)

    def reset(self, milliseconds: int = 0) -> None:
        """The connection is reset, as when the peer's machine dies."""
        self._poison("reset_peer", timeout=milliseconds)

    def heal(self) -> None:
        """Everything passes again."""
        for toxic in self.control.ask("GET", f"/proxies/{self.name}/toxics"):
            self.control.ask("DELETE", f"/proxies/{self.name}/toxics/{toxic['name']}")

    def remove(self) -> None:
        """There is no such way any more."""
        self.control.ask("DELETE", f"/proxies/{self.name}")

    def cut(self) -> None:
        """Nobody listens any more."""
        self.control.ask("POST", f"/proxies/{self.name}", {"enabled": False})

    def mend(self) -> None:
        """Somebody listens again."""
        self.control.ask("POST", f"/proxies/{self.name}", {"enabled": True})

    def _poison(self, kind: str, **attributes: int) -> None:
        toxic = {"name": kind, "type": kind, "stream": "downstream", "attributes": attributes}
        self.control.ask("POST", f"/proxies/{self.name}/toxics", toxic)


class Toxiproxy(Server):
    """A proxy in front of other servers, controlled over HTTP."""

    name = "toxiproxy"

    @classmethod
    def ensure(cls) -> None:
        go_program("toxiproxy", MODULE)

    def command(self) -> list[str]:
        return [str(_program()), "-host", LOOPBACK, "-port", str(self.port)]

    def environment(self) -> dict[str, str]:
        return {"TOXIPROXY_URL": f"http://{self.address}"}

    def before(self, server: Server) -> Proxy:
        """A new way to a server; of one that tells where to come, there is one at a time."""
        name = f"{server.name}-{secrets.token_hex(3)}"
        proxy = Proxy(self, name, server.outside or free_port())
        upstream = {"upstream": f"{LOOPBACK}:{server.behind}", "listen": proxy.address}
        self.ask("POST", "/proxies", {"name": name, **upstream, "enabled": True})
        return proxy

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The answer of the control API."""
        request = urllib.request.Request(
            f"http://{self.address}{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            text = answer.read()
        return json.loads(text) if text else None


def _program() -> Path:
    return go_program("toxiproxy", MODULE)
