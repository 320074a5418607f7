"""ZeroMQ, as its source and its sink need it: sockets, frames, stamps."""
