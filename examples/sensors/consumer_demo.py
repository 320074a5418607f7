"""What goes over the wire: a raw ZeroMQ consumer, without PyDataStream.

python consumer_demo.py [--port 5555] [--count N]
"""

import argparse
import contextlib

import zmq


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=5555)
    parser.add_argument("--topic", default="sensor:")
    parser.add_argument("--count", type=int, default=-1, help="how many; without, until Ctrl-C")
    options = parser.parse_args()
    socket = zmq.Context.instance().socket(zmq.SUB)
    socket.setsockopt(zmq.SUBSCRIBE, options.topic.encode())
    socket.connect(f"tcp://localhost:{options.port}")
    while options.count != 0:
        print(" | ".join(frame.decode() for frame in socket.recv_multipart()), flush=True)
        options.count -= 1


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
