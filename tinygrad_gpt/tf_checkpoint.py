"""TensorFlow's checkpoints, read without TensorFlow: the format of OpenAI's own GPT-2 files.

A checkpoint named PREFIX has an index and one or more files of data:

    PREFIX.index                  variable name -> where its bytes lie
    PREFIX.data-00000-of-00001    the bytes of the variables, one after the other

The index is an SSTable, as in LevelDB: sorted entries in blocks, a block that says where the others are, and a
footer that says where that block is. Its values are protocol buffers (TensorFlow's `tensor_bundle.proto`). The
checksums of the index are verified; those of the data would take minutes in Python.
"""

from collections.abc import Callable, Iterator
from functools import partial
from math import prod
from pathlib import Path

import numpy as np

from tinygrad_gpt.errors import InputError

MAGIC = 0xDB4775248B80FB57  # the last 8 bytes of every SSTable
FOOTER_SIZE = 48
DT_FLOAT = 1  # TensorFlow's number for float32
# Wire types of protocol buffers: how a field's value is written.
VARINT, LENGTH_DELIMITED, FIXED32 = 0, 2, 5
# Fields of the messages BundleHeaderProto and BundleEntryProto.
HEADER_NUM_SHARDS = 1
ENTRY_DTYPE, ENTRY_SHAPE, ENTRY_SHARD, ENTRY_OFFSET, ENTRY_SIZE, ENTRY_SLICES = 1, 2, 3, 4, 5, 7


def read_bundle(prefix: Path) -> dict[str, Callable[[], np.ndarray]]:
    """For each variable of the checkpoint, a function that maps it, float32, from its file.

    Raises `InputError` where a file is missing, damaged or holds what GPT-2 has no use for.
    """
    path = prefix.with_name(f"{prefix.name}.index")
    try:
        table = dict(_sstable(path.read_bytes()))
        header = _message(table.pop(b""))  # the empty name: what holds for all of them
        count = header[HEADER_NUM_SHARDS][0]
        entries = {name.decode(): _message(entry) for name, entry in table.items()}
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, IndexError, KeyError):
        raise InputError(f"{path} is damaged, or not the index of a TensorFlow checkpoint.") from None
    shards = [prefix.with_name(f"{prefix.name}.data-{n:05}-of-{count:05}") for n in range(count)]
    for shard in shards:
        if not shard.is_file():
            raise InputError(f"The TensorFlow checkpoint {prefix} lacks {shard.name}.")
    return {name: _mapping(name, entry, shards) for name, entry in entries.items()}


def _mapping(name: str, entry: dict[int, list], shards: list[Path]) -> Callable[[], np.ndarray]:
    """A function that maps the variable of a BundleEntryProto. A field that is 0 is not written at all."""
    shard = shards[entry.get(ENTRY_SHARD, [0])[0]]
    offset, size = entry.get(ENTRY_OFFSET, [0])[0], entry.get(ENTRY_SIZE, [0])[0]
    shape = tuple(_message(dim).get(1, [0])[0] for dim in _message(entry[ENTRY_SHAPE][0]).get(2, []))
    if entry[ENTRY_DTYPE] != [DT_FLOAT] or ENTRY_SLICES in entry or size != 4 * prod(shape):
        raise InputError(f"The variable {name} in {shard} is not a whole float32 array, as those of GPT-2 are.")
    if offset + size > shard.stat().st_size:
        raise InputError(f"{shard} is cut short: {name} should end at byte {offset + size:,}.")
    return partial(np.memmap, shard, dtype="<f4", mode="r", offset=offset, shape=shape)


def _sstable(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Every key of an SSTable and its value."""
    footer = data[-FOOTER_SIZE:]
    if int.from_bytes(footer[-8:], "little") != MAGIC:
        raise ValueError("no SSTable")
    _, at = _handle(footer, 0)  # of a block of statistics, which is empty
    index, _ = _handle(footer, at)
    for _, handle in _block(data, *index):
        yield from _block(data, *_handle(handle, 0)[0])


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    """Where a block lies, (offset, size), and the position after the handle."""
    offset, at = _varint(data, at)
    size, at = _varint(data, at)
    return (offset, size), at


def _block(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of a block's entries: each key is written as what differs from the key before it.

    At the end stand the positions of entries with a whole key, for binary search, and their number.
    """
    end = offset + size
    compression, checksum = data[end], int.from_bytes(data[end + 1 : end + 5], "little")
    if compression != 0 or _masked_crc32c(data[offset : end + 1]) != checksum:
        raise ValueError("compressed, or damaged")
    whole_keys = int.from_bytes(data[end - 4 : end], "little")
    end -= 4 * (whole_keys + 1)
    key, at = b"", offset
    while at < end:
        shared, at = _varint(data, at)
        unshared, at = _varint(data, at)
        length, at = _varint(data, at)
        key = key[:shared] + data[at : at + unshared]
        at += unshared
        yield key, data[at : at + length]
        at += length


def _message(data: bytes) -> dict[int, list]:
    """The fields of a protocol buffer: number -> its values; a message within stays bytes."""
    fields: dict[int, list] = {}
    value: int | bytes
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == VARINT:
            value, at = _varint(data, at)
        elif wire_type in (LENGTH_DELIMITED, FIXED32):
            length, at = _varint(data, at) if wire_type == LENGTH_DELIMITED else (4, at)
            value, at = data[at : at + length], at + length
        else:
            raise ValueError(f"wire type {wire_type}")
        fields.setdefault(number, []).append(value)
    return fields


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """An integer in groups of 7 bits, lowest first, and the position after it; bit 8 says that more follow."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _masked_crc32c(data: bytes) -> int:
    """The CRC with Castagnoli's polynomial, rotated by 15 bits and shifted by a constant, as SSTables store it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
