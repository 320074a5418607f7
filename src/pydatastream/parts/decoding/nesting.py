"""How deep lines of JSON nest, told without parsing them."""

from __future__ import annotations

import re

_OTHER = bytes(byte for byte in range(256) if byte not in b"{[\n")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"')


def may_be_deeper(lines: bytes, most: int) -> bool:
    r"""Whether a line opens more than `most` brackets; false means that none nests deeper.

    >>> may_be_deeper(b'{"a": 1}\n{"a": [1]}', 1), may_be_deeper(b'{"a": 1}\n{"a": [1]}', 2)
    (True, False)
    """
    return _has_longer(lines.translate(None, _OTHER), most)


def _has_longer(lines: bytes, most: int) -> bool:
    """Whether a line is longer than `most`, by hops from line end to line end."""
    at = 0
    while len(lines) - at > most:
        found = lines.rfind(b"\n", at, at + most + 1)
        if found < 0:
            return True
        at = found + 1
    return False


def is_deeper(line: bytes, most: int) -> bool:
    """Whether one line nests deeper than `most`; brackets in strings do not count."""
    depth = 0
    if line.count(b"{") + line.count(b"[") <= most:
        return False
    for byte in _STRING.sub(b"", line):
        depth += (byte in b"{[") - (byte in b"}]")
        if depth > most:
            return True
    return False
