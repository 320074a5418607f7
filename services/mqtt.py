"""MQTT: Mosquitto from Debian's packages."""

from __future__ import annotations

from services.install import program
from services.server import LOOPBACK, Server

CONFIG = """listener {port} {host}
allow_anonymous true
persistence true
persistence_location {folder}/
autosave_interval 1
autosave_on_changes true
max_queued_messages 0
"""
"""Without autosave_on_changes a kill loses sessions and queued messages."""


class Mqtt(Server):
    """Mosquitto, which keeps sessions and messages over a kill."""

    name = "mqtt"
    cannot_prove = "that an answered message is on disk: it is a few milliseconds later"
    user = "mosquitto"

    @classmethod
    def ensure(cls) -> None:
        program("mosquitto", "mosquitto")
        program("mosquitto_sub", "mosquitto-clients")

    def prepare(self) -> None:
        text = CONFIG.format(port=self.port, host=LOOPBACK, folder=self.folder)
        (self.folder / "mosquitto.conf").write_text(text)

    def command(self) -> list[str]:
        return [program("mosquitto"), "-c", str(self.folder / "mosquitto.conf")]

    def environment(self) -> dict[str, str]:
        return {"MQTT_HOST": LOOPBACK, "MQTT_PORT": str(self.port)}

    def has_saved(self, message: str) -> bool:
        """Whether a message is on disk."""
        file = self.folder / "mosquitto.db"
        return file.exists() and message.encode() in file.read_bytes()

    def messages(self, topic: str, count: int, seconds: int = 10) -> list[str]:
        """The next messages of a topic, as mosquitto_sub prints them."""
        where = ["-h", LOOPBACK, "-p", str(self.port), "-t", topic, "-q", "1"]
        return self.run("mosquitto_sub", *where, "-C", str(count), "-W", str(seconds)).splitlines()

    def publish(self, topic: str, message: str, *, retain: bool = False) -> None:
        """Send one message with mosquitto_pub; retained, it waits for later subscribers."""
        where = ["-h", LOOPBACK, "-p", str(self.port), "-t", topic, "-q", "1"]
        self.run("mosquitto_pub", *where, *(["-r"] if retain else []), "-m", message)
