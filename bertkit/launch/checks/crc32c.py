"""CRC-32C as TensorFlow masks it, in plain Python: for the few kilobytes that a preflight reads.

``google-crc32c`` is much faster, but the core must not need it; data stages use that one.
"""

from __future__ import annotations

from functools import lru_cache
from typing import List

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, reversed
_MASK_DELTA = 0xA282EAD8
_WORD = 0xFFFFFFFF


def masked(content: bytes) -> int:
    """The sum that TensorFlow stores: the CRC rotated right by 15 bits, plus a constant."""
    table = _table()
    crc = _WORD
    for byte in content:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    crc ^= _WORD
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & _WORD


@lru_cache(maxsize=1)
def _table() -> List[int]:
    entries = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (_POLYNOMIAL if number & 1 else 0)
        entries.append(number)
    return entries
