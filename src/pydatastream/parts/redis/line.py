"""One connection to the Redis that holds a key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from pydatastream.core.errors import ConfigError, PdsError
from pydatastream.parts.redis.meaning import meaning
from pydatastream.parts.redis.place import RedisPlace


class Line:
    """One connection, used by one thread: commands go out, replies come in, in order.

    Text in replies stays bytes. Whatever the client raises comes as what it means.
    """

    def __init__(self, place: RedisPlace, key: str) -> None:
        self.address = place.address
        self._client: Any = None
        self._connection: Any = None
        with self._reaching():
            self._client = place.client()
            node = _node(self._client, key) if place.cluster else self._client
            self._connection = node.connection_pool.get_connection()

    def ask(self, *words: Any) -> Any:
        """The reply to one command."""
        with self._reaching():
            self._connection.send_command(*words)
        return self.reply()

    def reply(self) -> Any:
        """The next reply."""
        with self._reaching():
            return self._connection.read_response(disable_decoding=True)

    def ask_all(self, *commands: tuple[Any, ...]) -> list[Any]:
        """The replies to commands done at once, with nothing in between; refusals stay in it."""
        together = [("MULTI",), *commands, ("EXEC",)]
        with self._reaching():
            packed = self._connection.pack_commands(together)
            self._connection.send_packed_command(packed)
            for _ in together[1:]:
                self._connection.read_response()
            found: list[Any] = self._connection.read_response(disable_decoding=True)
            return found

    def send(self, packed: bytes) -> None:
        """Send commands as they go over the wire; their replies are to be read later."""
        with self._reaching():
            self._connection.send_packed_command([packed])

    def settle(self, count: int) -> None:
        """Read that many replies; the first refusal is raised."""
        with self._reaching():
            for _ in range(count):
                self._connection.read_response(disable_decoding=True)

    def executed(self, replies: Sequence[Any]) -> None:
        """Raise the first refusal among the replies of a transaction."""
        failed = next((one for one in replies if isinstance(one, Exception)), None)
        if failed is not None:
            raise self.meaning(failed)

    def pushed(self, wait: float, most: int) -> list[Any]:
        """What the server says unasked: after at most `wait` seconds, all that has come."""
        found: list[Any] = []
        with self._reaching():
            while len(found) < most and self._connection.can_read(0 if found else wait):
                found.append(self._connection.read_response(disable_decoding=True))
        return found

    def expect(self, key: str, kind: str) -> None:
        """Raise `ConfigError` if the key is there and holds something else."""
        found = self.ask("TYPE", key).decode()
        if found not in (kind, "none"):
            hint = "name another key, or rename this one"
            raise ConfigError(f"key {key!r} is a {found}, not a {kind}", hint=hint)

    def meaning(self, error: BaseException) -> PdsError:
        """What a refusal within a reply means."""
        return meaning(error, self.address)

    def close(self) -> None:
        """Hang up; it may be done twice."""
        connection, self._connection = self._connection, None
        for one, end in ((connection, "disconnect"), (self._client, "close")):
            if one is not None:
                with suppress(Exception):
                    getattr(one, end)()

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        import redis

        try:
            yield
        except (redis.RedisError, OSError, ValueError) as error:
            raise meaning(error, self.address) from None


def _node(client: Any, key: str) -> Any:
    return client.get_redis_connection(client.get_node_from_key(key))


@contextmanager
def line_to(place: RedisPlace, key: str) -> Iterator[Line]:
    """A connection for a while."""
    line = Line(place, key)
    try:
        yield line
    finally:
        line.close()
