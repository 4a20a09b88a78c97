"""Filters of words: which words, whatever their case, texts surely do not have.

A word is a maximal run of ASCII letters, digits and `_`. A filter is an xor filter (Graf and Lemire, 2020) of the
hashes of words, about ten bits for each: it says of one word in 256 that is not there that it may be. A head of eight
bytes (the try that made it, three zeros, how many slots a third of it has) stands before a byte for each slot. What is
no filter may have any word: so does an empty one, which stands for words that no try could make a filter of.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection, Iterator
from functools import reduce
from itertools import pairwise
from operator import xor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

_WORD = re.compile(rb"[A-Za-z0-9_]+")
_HEAD = struct.Struct("<B3xI")
_MOST_TRIES = 64
_UINT64 = (1 << 64) - 1
_START, _STEP = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93
_TRIES_STEP = _START
_MIXERS = (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53)
_SMALL = bytes(each | (each & 0x40) >> 1 for each in range(256))  # `_` becomes something that nothing else is


def word_filter_of(texts: Buffer, ends: Buffer, first: int, rows: int, validity: Buffer | None) -> bytes:
    """Make a filter of the words of some rows of Arrow's buffers of texts; those that are null have none.

    ValueError if the buffers have no such rows. The order of the rows, and of the words, makes no difference.
    """
    words: set[bytes] = set()
    for text in _texts(memoryview(texts), memoryview(ends), first, rows, validity):
        words.update(_WORD.findall(text))
    return _filter_of({_hash(word) for word in words})


def may_have(filter_: Buffer, word: bytes) -> bool:
    """Whether `word` may be among those that a filter was made of; False only if it surely is not.

    ValueError if it is no word.
    """
    if not _WORD.fullmatch(word):
        raise ValueError(f"{word!r} is no word")
    content = memoryview(filter_).cast("B")
    if len(content) < _HEAD.size:
        return True
    attempt, third = _HEAD.unpack_from(content)
    prints = content[_HEAD.size :]
    if len(prints) != 3 * third:
        return True
    key = _key(_hash(word), attempt)
    return bool(third) and _print(key) == reduce(xor, (prints[slot] for slot in _slots(key, third)))


def _texts(texts: memoryview, ends: memoryview, first: int, rows: int, validity: Buffer | None) -> Iterator[bytes]:
    if first < 0 or rows < 0 or (first + rows + 1) * 4 > ends.nbytes:
        raise ValueError(f"there are no {rows} rows from {first} on")
    bits = None if validity is None else memoryview(validity)
    if bits is not None and (first + rows + 7) // 8 > bits.nbytes:
        raise ValueError(f"nothing says which of {rows} rows from {first} on are null")
    offsets = struct.unpack_from(f"<{rows + 1}i", ends, 4 * first)
    for row, (start, end) in enumerate(pairwise(offsets), first):
        if not 0 <= start <= end <= texts.nbytes:
            raise ValueError(f"text {row} is not within the {texts.nbytes} bytes of all of them")
    for row, (start, end) in enumerate(pairwise(offsets), first):
        if bits is None or bits[row >> 3] >> (row & 7) & 1:
            yield bytes(texts[start:end])


def _hash(word: bytes) -> int:
    small = word.translate(_SMALL)
    found = _START
    for at in range(0, len(small), 8):
        product = (found ^ int.from_bytes(small[at : at + 8], "little")) * _STEP
        found = (product ^ product >> 64) & _UINT64
    return found or 1


def _key(hash_: int, attempt: int) -> int:
    key = (hash_ + attempt * _TRIES_STEP) & _UINT64
    for mixer in _MIXERS:
        key = (key ^ key >> 33) * mixer & _UINT64
    return key ^ key >> 33


def _slots(key: int, third: int) -> list[int]:
    """Return the three slots of a key, one in each third of a filter."""
    turned = (key | key << 64) >> 64 - 42  # its low bits are the key turned left by 42
    parts = (key, turned >> 21, turned)
    return [place * third + ((part & 0xFFFFFFFF) * third >> 32) for place, part in enumerate(parts)]


def _print(key: int) -> int:
    return (key ^ key >> 32) & 0xFF


def _filter_of(hashes: Collection[int]) -> bytes:
    if not hashes:
        return _HEAD.pack(0, 0)
    third = (len(hashes) * 123 // 100 + 32) // 3
    for attempt in range(_MOST_TRIES):
        order = _peeled([_key(hash_, attempt) for hash_ in hashes], third)
        if len(order) == len(hashes):
            return _HEAD.pack(attempt, third) + _prints(order, third)
    return b""


def _peeled(keys: Collection[int], third: int) -> list[tuple[int, int]]:
    """Put keys in an order in which each has a slot that none behind it has; those that have no such order are left."""
    together, counts = [0] * (3 * third), [0] * (3 * third)

    def turn(key: int, by: int) -> list[int]:
        slots = _slots(key, third)
        for slot in slots:
            together[slot] ^= key
            counts[slot] += by
        return [slot for slot in slots if counts[slot] == 1]

    for key in keys:
        turn(key, 1)
    order: list[tuple[int, int]] = []
    alone = [slot for slot, count in enumerate(counts) if count == 1]
    while alone:
        slot = alone.pop()
        if counts[slot] == 1:
            key = together[slot]
            order.append((key, slot))
            alone += turn(key, -1)
    return order


def _prints(order: list[tuple[int, int]], third: int) -> bytes:
    """Give the slots bytes, so that the three of each key make up its print."""
    prints = bytearray(3 * third)
    for key, slot in reversed(order):
        prints[slot] = reduce(xor, (prints[one] for one in _slots(key, third)), _print(key))
    return bytes(prints)
