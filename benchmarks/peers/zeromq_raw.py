"""pyzmq by itself: `send` sends readings when somebody takes them, `receive` writes them down."""

import sys
import time
from pathlib import Path

import zmq

HOW, PORT, ROWS = sys.argv[1], sys.argv[2], int(sys.argv[3])
TOPIC = b"sensor:temperature"


def readings(first, count):
    form = '{"device_id":"d%03d","ts":%d,"temperature":%.2f,"humidity":55.25,"status":"ok"}'
    return [
        (form % (n % 1000, 1_700_000_000_000 + n, n % 4000 / 100 - 5)).encode()
        for n in range(first, first + count)
    ]


def send():
    socket = zmq.Context.instance().socket(zmq.PUSH)
    socket.set_hwm(100_000)
    socket.bind(f"tcp://127.0.0.1:{PORT}")
    framed = sys.argv[4] == "2"
    pool = readings(0, 100_000)
    if not framed:
        pool = [TOPIC + b" " + one for one in pool]
    socket.poll(60_000, zmq.POLLOUT)
    print(time.time(), flush=True)
    for n in range(ROWS):
        if framed:
            socket.send(TOPIC, zmq.SNDMORE)
        socket.send(pool[n % len(pool)])
    socket.close()
    zmq.Context.instance().term()


def receive():
    socket = zmq.Context.instance().socket(zmq.PULL)
    socket.set_hwm(100_000)
    socket.connect(f"tcp://127.0.0.1:{PORT}")
    with Path(sys.argv[4]).open("wb") as file:
        for _ in range(ROWS):
            frames = socket.recv_multipart()
            payload = frames[1] if len(frames) > 1 else frames[0].partition(b" ")[2]
            file.write(payload + b"\n")


{"send": send, "receive": receive}[HOW]()
