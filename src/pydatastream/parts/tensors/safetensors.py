"""The file format safetensors: named arrays and texts; reading it runs nothing.

Eight bytes with the length of the header, the header as JSON, the arrays one after the other.

References: the format's description by Hugging Face, github.com/huggingface/safetensors.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pydatastream.core.errors import ConfigError

TYPES = {
    "BOOL": "?",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
}
WORDS = {np.dtype(code): word for word, code in TYPES.items()}
TEXTS, PLACE = "__metadata__", "data_offsets"
ALIGNED = 8
"""Arrays begin at a multiple of this, wide ones first."""
LONGEST = 100_000_000
"""No header is longer, in bytes."""

Tensors = Mapping[str, npt.NDArray[Any]]


class Unpacked(NamedTuple):
    """What a file holds."""

    tensors: Tensors
    texts: Mapping[str, str]


def packed(tensors: Tensors, texts: Mapping[str, str] | None = None) -> bytes:
    """A file of arrays and texts; the same ones give the same bytes."""
    header: dict[str, Any] = {TEXTS: dict(sorted(texts.items()))} if texts else {}
    data, at = list[bytes](), 0
    for name in sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name)):
        array = np.ascontiguousarray(tensors[name])
        content = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        word = WORDS[array.dtype.newbyteorder("<")]
        place = [at, at + len(content)]
        header[name] = {"dtype": word, "shape": list(tensors[name].shape), PLACE: place}
        data.append(content)
        at += len(content)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNED)
    return b"".join([struct.pack("<Q", len(text)), text, *data])


def unpacked(content: bytes) -> Unpacked:
    """What a file holds; `ConfigError` if it is damaged, or no such file."""
    try:
        return _unpacked(content)
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise ConfigError(f"this is no sound safetensors file: {error}") from None


def _unpacked(content: bytes) -> Unpacked:
    (length,) = struct.unpack_from("<Q", content)
    if length > min(LONGEST, len(content) - 8):
        raise ValueError("its header is longer than the file")
    header = json.loads(content[8 : 8 + length])
    texts = {str(name): str(text) for name, text in header.pop(TEXTS, {}).items()}
    data, tensors, end = memoryview(content)[8 + length :], {}, 0
    for name, one in sorted(header.items(), key=lambda item: item[1][PLACE]):
        start, stop = one[PLACE]
        dtype, shape = np.dtype(TYPES[one["dtype"]]), tuple(map(int, one["shape"]))
        fits = min(shape, default=0) >= 0 and stop - start == math.prod(shape) * dtype.itemsize
        if start != end or stop > len(data) or not fits:
            raise ValueError(f"array {name!r} is not where it is said to be")
        tensors[name] = np.frombuffer(data[start:stop], dtype).reshape(shape)
        end = stop
    if end != len(data):
        raise ValueError(f"{len(data) - end} bytes are of no array")
    return Unpacked(tensors, texts)
