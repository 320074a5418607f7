"""Publish sensor readings over ZeroMQ, as a device would: 10 a second until Ctrl-C.

python publisher_test.py [--format json|csv|text|binary] [--count N] [--rate N] [--push]
"""

import argparse
import contextlib
import itertools
import json
import random
import struct
import time
from datetime import UTC, datetime
from pathlib import Path

import zmq

TOPIC = "sensor:temperature"


def payload(form, device, now, temperature):
    """One reading as it is sent."""
    if form == "binary":
        return struct.pack("<Iqd", device, round(now.timestamp() * 1e6), temperature)
    ts = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    row = {"device_id": f"device-{device}", "ts": ts, "temperature": temperature}
    return (json.dumps(row) if form == "json" else ",".join(map(str, row.values()))).encode()


def message(form, n, dice):
    """The frames of message number n; temperatures are between 0 and 30."""
    if form == "text":
        return [f"{TOPIC}, message:data-{n}".encode()]
    reading = n % 5, datetime.now(UTC), round(dice.uniform(0, 30), 2)
    return [TOPIC.encode(), payload(form, *reading)]


def keys(path, socket):
    """Encrypt as a server: a file with two lines, the public key and the secret one."""
    public, secret = Path(path).read_bytes().split()
    socket.curve_publickey, socket.curve_secretkey, socket.curve_server = public, secret, True


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=5555)
    parser.add_argument("--format", choices=["json", "csv", "text", "binary"], default="json")
    parser.add_argument("--count", type=int, help="how many; without, until Ctrl-C")
    parser.add_argument("--rate", type=float, default=10, help="how many a second")
    parser.add_argument(
        "--push", action="store_true", help="each to one who pulls (PUSH), not to all"
    )
    parser.add_argument("--curve", help="a file with our public and secret key, to encrypt with")
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    dice = random.Random(options.seed)
    socket = zmq.Context.instance().socket(zmq.PUSH if options.push else zmq.PUB)
    if options.curve:
        keys(options.curve, socket)
    socket.bind(f"tcp://*:{options.port}")
    print(f"publishing {TOPIC} on port {options.port}", flush=True)
    numbers = itertools.count() if options.count is None else range(options.count)
    for n in numbers:
        time.sleep(1 / options.rate)
        socket.send_multipart(message(options.format, n, dice))
    socket.close(linger=5000)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
