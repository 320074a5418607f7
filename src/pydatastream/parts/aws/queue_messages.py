"""Messages of a queue that are under way: received, kept invisible, deleted when they are safe."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from pydatastream.core.errors import PdsError, RetryLater
from pydatastream.parts.aws.queues import MOST, SqsDoor

WAIT = 1
"""Seconds that one call waits for messages."""

REMEMBERED = 200_000
"""So many ids of messages that are safe are kept, to know one that comes again."""

_log = logging.getLogger("pydatastream")

Message = dict[str, Any]


class SqsMessages:
    """Receives in threads of its own, and keeps what was received invisible to others."""

    def __init__(self, door: SqsDoor, receivers: int, safe: Iterable[str]) -> None:
        self._door = door
        self._arrived: queue.Queue[list[Message] | BaseException] = queue.Queue(receivers * 4)
        self._held: dict[str, str] = {}
        self._safe = OrderedDict.fromkeys(safe)
        self._unread: list[str] = []
        self._lock, self._over = threading.Lock(), threading.Event()
        self._pause = door.number("VisibilityTimeout", 30) / 3
        self.quiet_since = time.monotonic()
        loops = [self._receive] * receivers + [self._keep]
        self._threads = [threading.Thread(target=one, daemon=True) for one in loops]
        for thread in self._threads:
            thread.start()

    def take(self, most: int, patience: float) -> list[Message]:
        """New messages that have come, each once; none if there are none in time."""
        found: list[Message] = []
        while len(found) + MOST <= max(most, MOST):
            try:
                item = self._arrived.get(timeout=0 if found else patience)
            except queue.Empty:
                break
            if isinstance(item, BaseException):
                raise item
            found += self._new(item)
        return found

    def safe(self, ids: Iterable[str]) -> None:
        """These are durable: delete them, and know them if they come again."""
        with self._lock:
            gone = [self._held.pop(one) for one in ids if one in self._held]
            self._safe.update(dict.fromkeys(ids))
            while len(self._safe) > REMEMBERED:
                self._safe.popitem(last=False)
        self._delete(gone)

    def close(self) -> None:
        """Stop, and let others have at once what is not safe."""
        self._over.set()
        for thread in self._threads:
            thread.join(WAIT + 1)
        with self._lock:
            held, self._held = [*self._held.values(), *self._unread], {}
            self._unread.clear()
        with suppress(PdsError):
            self._visible(held, 0)

    def _new(self, messages: list[Message]) -> list[Message]:
        """Those that were not seen before; of one in hand, the newest handle counts."""
        with self._lock:
            known = [one for one in messages if one["MessageId"] in self._safe]
            fresh = [one for one in messages if one["MessageId"] not in self._safe]
            new = {one["MessageId"]: one for one in fresh if one["MessageId"] not in self._held}
            self._held.update({one["MessageId"]: one["ReceiptHandle"] for one in fresh})
        self._delete([one["ReceiptHandle"] for one in known])
        return list(new.values())

    def _delete(self, handles: list[str]) -> None:
        entries = [{"ReceiptHandle": one} for one in handles]
        for failed in self._door.batches("delete_message_batch", entries):
            # A stale handle: the message comes again, and is known then.
            _log.debug("not deleted: %s", failed.get("Message"))

    def _visible(self, handles: list[str], seconds: int) -> None:
        entries = [{"ReceiptHandle": one, "VisibilityTimeout": seconds} for one in handles]
        for failed in self._door.batches("change_message_visibility_batch", entries):
            _log.debug("not kept: %s", failed.get("Message"))

    def _receive(self) -> None:
        try:
            while not self._over.is_set():
                with self._door.speaking():
                    answer = self._door.client.receive_message(
                        QueueUrl=self._door.url,
                        MaxNumberOfMessages=MOST,
                        WaitTimeSeconds=WAIT,
                        AttributeNames=["All"],
                    )
                self._put(answer.get("Messages", []))
        except BaseException as error:  # noqa: BLE001 - the reader must hear of it
            self._put(error)

    def _put(self, item: list[Message] | BaseException) -> None:
        """Hand over, and wait while there is no room."""
        while item and not self._over.is_set():
            with suppress(queue.Full):
                self._arrived.put(item, timeout=0.1)
                self.quiet_since = time.monotonic()
                return
        if isinstance(item, list):
            with self._lock:
                self._unread += [one["ReceiptHandle"] for one in item]

    def _keep(self) -> None:
        while not self._over.wait(self._pause):
            with self._lock:
                handles = list(self._held.values())
            with suppress(RetryLater):
                self._visible(handles, max(1, round(self._pause * 3)))
